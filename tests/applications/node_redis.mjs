// node-redis: RESP3, automatic pipelines, transactions, iterators, scripts, publishing, waiting.

import { createClient, createClientPool, defineScript } from 'redis';

import { HOST, PORT, main, part, say, sayError, waitUntil } from './scenario.mjs';

const open = new Set();

async function connect(options = {}) {
  const client = createClient({ socket: { host: HOST, port: PORT }, ...options });
  client.on('error', () => {});
  open.add(client);
  await client.connect();
  return client;
}

async function prepare() {
  for (const client of open) if (client.isOpen) client.destroy();
  open.clear();
  await (await connect()).flushAll();
}

for (const RESP of [2, 3]) {
  part(`values_${RESP}`, [], async () => {
    const client = await connect({ RESP });
    say(
      'strings',
      await client.set('a', '1'),
      await client.set('a', '2', { condition: 'NX' }),
      await client.set('a', '3', { GET: true }),
    );
    say(
      'numbers',
      await client.incr('a'),
      await client.incrByFloat('f', 0.5),
      await client.mSet({ k1: '1', k2: '2' }),
      await client.mGet(['k1', 'none']),
    );
    say(
      'hash',
      await client.hSet('h', { a: '1', b: 'zwei' }),
      { ...(await client.hGetAll('h')) },
      await client.hExists('h', 'a'),
      await client.hKeys('h'),
    );
    say(
      'list',
      await client.rPush('l', ['1', '2', '3']),
      await client.lRange('l', 0, -1),
      await client.lPos('l', '2'),
      await client.lPopCount('l', 2),
    );
    say(
      'set',
      await client.sAdd('s', ['x', 'y']),
      await client.sIsMember('s', 'x'),
      await client.smIsMember('s', ['x', 'z']),
      await client.sCard('s'),
    );
    say(
      'sorted',
      await client.zAdd('z', [
        { score: 1, value: 'a' },
        { score: 2.5, value: 'b' },
      ]),
      await client.zRangeWithScores('z', 0, -1),
      await client.zScore('z', 'b'),
      await client.zPopMax('z'),
    );
    say(
      'infinite',
      await client.zAdd('z', { score: Infinity, value: 'inf' }),
      await client.zRangeWithScores('z', 0, -1),
      await client.zIncrBy('z', 1.5, 'a'),
    );
    say(
      'geo',
      await client.geoAdd('g', { longitude: 13.361389, latitude: 38.115556, member: 'P' }),
      await client.geoPos('g', ['P', 'none']),
      await client.geoSearch('g', 'P', { radius: 10, unit: 'km' }),
    );
    say(
      'stream',
      await client.xAdd('x', '1-1', { f: 'v' }),
      await client.xRange('x', '-', '+'),
      await client.xLen('x'),
    );
    say(
      'groups',
      await client.xGroupCreate('x', 'g', '0'),
      await client.xReadGroup('g', 'c', { key: 'x', id: '>' }),
      await client.xPending('x', 'g'),
      await client.xInfoGroups('x'),
    );
    say(
      'keys',
      await client.type('h'),
      await client.expire('h', 100),
      await client.ttl('h'),
      await client.exists(['a', 'none']),
      await client.del(['a', 'h']),
    );
    say(
      'server',
      await client.configGet('maxmemory'),
      await client.dbSize(),
      (await client.clientInfo()).db,
      (await client.hello()).proto,
    );
    await sayError('wrong type', client.lPush('k1', 'x'));
    await sayError('unknown', client.sendCommand(['NOSUCH', 'x']));
  });
}

part('pipelines', [], async () => {
  const client = await connect();
  const values = await Promise.all(
    Array.from({ length: 2000 }, (_, index) => client.incrBy('n', index)),
  );
  say('automatic', values.length, values.at(-1));
  say('multi', await client.multi().set('a', '1').incr('a').get('a').exec());
  say('pipeline', await client.multi().set('a', '1').incr('a').execAsPipeline());
  try {
    await client.multi().set('a', 'x').incr('a').get('a').exec();
  } catch (error) {
    say('with an error', error.name, error.replies, error.errorIndexes);
  }
  const other = await connect();
  await client.watch('a');
  await other.set('a', 'other');
  await sayError('watched', client.multi().set('a', 'mine').exec());
  const pool = createClientPool({ socket: { host: HOST, port: PORT } }, { minimum: 2, maximum: 4 });
  await pool.connect();
  await Promise.all(Array.from({ length: 200 }, () => pool.incr('pooled')));
  say('pool', await pool.get('pooled'));
  pool.destroy();
});

part('iterators', [], async () => {
  const client = await connect();
  await client.mSet(
    Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`key:${index}`, `${index}`])),
  );
  await client.sAdd(
    's',
    Array.from({ length: 300 }, (_, index) => `m${index}`),
  );
  const keys = new Set();
  for await (const page of client.scanIterator({ MATCH: 'key:*', COUNT: 50 }))
    page.forEach((key) => keys.add(key));
  const members = new Set();
  for await (const page of client.sScanIterator('s')) page.forEach((member) => members.add(member));
  say('found', keys.size, members.size, await client.unlink([...keys]));
});

part('scripts', ['scripts'], async () => {
  const client = await connect({
    scripts: {
      addAll: defineScript({
        SCRIPT:
          "local sum = 0 for _, key in ipairs(KEYS) do sum = sum + redis.call('INCRBY', key, ARGV[1]) end return sum",
        NUMBER_OF_KEYS: 2,
        parseCommand(parser, first, second, step) {
          parser.pushKey(first);
          parser.pushKey(second);
          parser.push(String(step));
        },
        transformReply: (reply) => reply,
      }),
    },
  });
  say('defined', await client.addAll('a', 'b', 5), await client.addAll('a', 'b', 1));
  say(
    'flushed',
    await client.scriptFlush(),
    await client.addAll('a', 'b', 1),
    await client.multi().addAll('a', 'b', 1).exec(),
  );
  say(
    'RESP3',
    await client.eval(
      "redis.setresp(3) return {redis.call('HGETALL', 'none'), {double = 1.5}, {map = {a = 1}}, true, false}",
    ),
  );
  await sayError('error', client.eval('return redis.call("NOSUCH")'));
});

part('publishing', ['pubsub'], async () => {
  for (const RESP of [2, 3]) {
    const client = await connect({ RESP });
    const listener = await connect({ RESP });
    const seen = [];
    await listener.subscribe(['news', 'sport'], (message, channel) =>
      seen.push([channel, message]),
    );
    await listener.pSubscribe('new*', (message, channel) =>
      seen.push(['pattern', channel, message]),
    );
    say('published', await client.publish('news', 'one'), await client.publish('sport', 'two'));
    await waitUntil(() => seen.length === 3, 'three messages');
    say('received', seen, await client.pubSubNumSub(['news', 'none']), await client.pubSubNumPat());
    if (RESP === 3) say('commands go on', await listener.set('a', '1'), await listener.get('a'));
    await listener.sSubscribe('shard', (message, channel) =>
      seen.push(['shard', channel, message]),
    );
    say(
      'shard',
      await client.sPublish('shard', 'three'),
      (await waitUntil(() => seen.length === 4, 'a message'), seen[3]),
    );
    await listener.unsubscribe();
    await listener.pUnsubscribe();
    await listener.sUnsubscribe();
    say('unsubscribed', await client.publish('news', 'x'), await listener.ping());
  }
});

part('waiting', ['blocking'], async () => {
  const client = await connect();
  const waiter = await connect();
  say(
    'nothing comes',
    await waiter.blPop('l', 0.05),
    await waiter.bzPopMin('z', 0.05),
    await waiter.xRead({ key: 'x', id: '$' }, { BLOCK: 20 }),
  );
  const blocked = () =>
    waitUntil(async () => /blocked_clients:1/.test(await client.info('clients')), 'a client waits');
  const popped = waiter.blPop(['none', 'l'], 5);
  await blocked();
  await client.rPush('l', 'a');
  say('list', await popped);
  const smallest = waiter.bzPopMin('z', 5);
  await blocked();
  await client.zAdd('z', { score: 1.5, value: 'm' });
  say('sorted set', await smallest);
  const entry = waiter.xRead({ key: 'x', id: '$' }, { BLOCK: 5000 });
  await blocked();
  await client.xAdd('x', '7-0', { a: 'b' });
  say('stream', await entry);
});

await main(prepare);
