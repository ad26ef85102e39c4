// What the Node scenarios share; scenario.py says how a scenario is run.

export const PORT = Number(process.env.PORT ?? 0);
export const HOST = '127.0.0.1';

const parts = new Map();
let running = '';

/// Registers a part of the scenario with its needs.
export function part(name, needs, run) {
  parts.set(name, { needs, run });
}

/// Prints a line of the part that runs.
export function say(what, ...values) {
  console.log(`${running}\t${what}: ${values.map(shown).join(' ')}`);
}

/// Prints the kind and the text of the error that a promise ends with.
export async function sayError(what, promise) {
  try {
    say(`${what} (no error)`, await promise);
  } catch (error) {
    say(what, error.name, error.message);
  }
}

export function sleep(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

/// Waits until a condition, which may be asynchronous, holds.
export async function waitUntil(condition, what, limit = 15000) {
  const end = Date.now() + limit;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not in ${limit} ms: ${what}`);
    await sleep(5);
  }
}

/// Runs the parts that the command line names; `prepare` makes the server empty.
export async function main(prepare) {
  const names = process.argv.slice(2);
  if (names.length === 0) {
    for (const [name, { needs }] of parts) console.log([name, ...needs].join(' '));
    process.exit(0);
  }
  for (const name of names) {
    running = name;
    try {
      await prepare();
      await inTime(parts.get(name).run());
      say('end');
    } catch (error) {
      console.error(error);
      say('FAILED', error.name, error.message);
    }
  }
  process.exit(0);
}

/// Waits for a promise, but not for ever.
function inTime(promise, limit = 40000) {
  const late = sleep(limit).then(() => {
    throw new Error(`not done after ${limit} ms`);
  });
  return Promise.race([promise, late]);
}

function shown(value) {
  return JSON.stringify(value, replace) ?? String(value);
}

function replace(_, value) {
  if (value instanceof Map) return { map: [...value] };
  if (value instanceof Set) return { set: [...value].sort() };
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (typeof value === 'bigint') return `${value}n`;
  return value;
}
