// BullMQ: queues and workers, priorities, delays, retries, events, repetition, flows, upkeep.

import { DelayedError, FlowProducer, Queue, QueueEvents, UnrecoverableError, Worker } from 'bullmq';
import { Redis } from 'ioredis';

import { HOST, PORT, main, part, say, sleep, waitUntil } from './scenario.mjs';

const NEEDS = ['scripts', 'blocking'];
const connection = { host: HOST, port: PORT };
const client = new Redis(connection);
const open = [];

async function prepare() {
  await Promise.all(open.splice(0).map((thing) => thing.close()));
  await client.flushall();
}

function queue(name = 'q', options = {}) {
  const made = new Queue(name, { connection, ...options });
  open.push(made);
  return made;
}

async function worker(run, options = {}, name = 'q') {
  const made = new Worker(name, run, { connection, ...options });
  made.on('error', () => {});
  open.push(made);
  await made.waitUntilReady();
  return made;
}

async function events(name = 'q') {
  const made = new QueueEvents(name, { connection });
  open.push(made);
  await made.waitUntilReady();
  return made;
}

function done(jobs, count) {
  return waitUntil(async () => {
    const counts = await jobs.getJobCounts('completed', 'failed');
    return counts.completed + counts.failed >= count;
  }, `${count} jobs are done`);
}

part('work', NEEDS, async () => {
  const jobs = queue();
  const told = await events();
  await jobs.addBulk(
    Array.from({ length: 40 }, (_, index) => ({ name: 'double', data: { index } })),
  );
  say(
    'waiting',
    await jobs.getJobCounts('wait', 'active', 'completed'),
    (await jobs.getWaiting(0, 2)).map((job) => job.data),
  );
  let most = 0;
  let inside = 0;
  await worker(
    async (job) => {
      most = Math.max(most, ++inside);
      await job.updateProgress(50);
      await job.log(`index ${job.data.index}`);
      await sleep(2);
      inside--;
      return job.data.index * 2;
    },
    { concurrency: 5 },
  );
  await done(jobs, 40);
  const completed = await jobs.getCompleted();
  say(
    'results',
    completed.reduce((sum, job) => sum + job.returnvalue, 0),
    most > 1 && most <= 5,
  );
  say(
    'order of ids',
    completed
      .map((job) => Number(job.id))
      .sort((a, b) => a - b)
      .at(-1),
  );
  say('log', await jobs.getJobLogs('1'), (await jobs.getJob('1')).progress);
  const last = await jobs.add('double', { index: 100 });
  say('waited for', await last.waitUntilFinished(told, 10000), await last.getState());
  say('counts', await jobs.getJobCounts('wait', 'active', 'completed', 'failed', 'delayed'));
});

part('priorities', NEEDS, async () => {
  const jobs = queue();
  for (const priority of [5, 1, 3, 0, 2, 1]) await jobs.add(`p${priority}`, {}, { priority });
  await jobs.add('last in, first out', {}, { lifo: true });
  const low = await jobs.add('raised', {}, { priority: 9 });
  await low.changePriority({ priority: 4 });
  say(
    'counted',
    await jobs.getJobCounts('wait', 'prioritized'),
    await jobs.getCountsPerPriority([0, 1, 4, 9]),
  );
  const order = [];
  await worker(async (job) => order.push(job.name));
  await done(jobs, 8);
  say('order', order);
});

part('delays', NEEDS, async () => {
  const jobs = queue();
  const order = [];
  const began = Date.now();
  await jobs.add('third', {}, { delay: 400 });
  await jobs.add('second', {}, { delay: 200 });
  const far = await jobs.add('promoted', {}, { delay: 60000 });
  await jobs.add('first', {});
  say('delayed', await jobs.getJobCounts('wait', 'delayed'), await far.getState());
  let again = true;
  await worker(async (job, token) => {
    if (job.name === 'first' && again) {
      again = false;
      await job.moveToDelayed(Date.now() + 50, token);
      throw new DelayedError();
    }
    order.push(job.name);
  });
  await waitUntil(() => order.length === 1, 'the first');
  await far.promote();
  await done(jobs, 4);
  say('order', order, Date.now() - began >= 400);
});

part('failures', NEEDS, async () => {
  const jobs = queue();
  const told = await events();
  const heard = [];
  for (const name of ['waiting', 'active', 'completed', 'failed', 'delayed', 'retries-exhausted']) {
    told.on(name, ({ jobId, prev }) =>
      heard.push(`${jobId} ${name}${prev ? ` from ${prev}` : ''}`),
    );
  }
  const tries = {};
  const failing = await worker(async (job) => {
    tries[job.name] = (tries[job.name] ?? 0) + 1;
    if (job.name === 'never') throw new UnrecoverableError('no use');
    if (tries[job.name] < job.data.good) throw new Error(`try ${tries[job.name]}`);
    return 'good';
  });
  await jobs.add(
    'fixed',
    { good: 3 },
    { jobId: 'fixed', attempts: 5, backoff: { type: 'fixed', delay: 20 } },
  );
  await jobs.add(
    'exponential',
    { good: 4 },
    { jobId: 'exponential', attempts: 5, backoff: { type: 'exponential', delay: 10 } },
  );
  await jobs.add('exhausted', { good: 9 }, { jobId: 'exhausted', attempts: 2 });
  await jobs.add('never', { good: 1 }, { jobId: 'never', attempts: 5 });
  await done(jobs, 4);
  say('tries', tries);
  for (const id of ['fixed', 'exponential', 'exhausted', 'never']) {
    const job = await jobs.getJob(id);
    say(
      id,
      await job.getState(),
      job.attemptsMade,
      job.failedReason ?? job.returnvalue,
      job.stacktrace.length,
    );
  }
  await waitUntil(
    () => heard.some((line) => line === 'exhausted retries-exhausted'),
    'the last event',
  );
  for (const id of ['exhausted', 'never', 'fixed'])
    say(
      'heard',
      heard.filter((line) => line.startsWith(id)),
    );
  tries.exhausted = 8;
  await (await jobs.getJob('exhausted')).retry();
  await waitUntil(async () => (await jobs.getCompletedCount()) === 3, 'tried again');
  say('again', await (await jobs.getJob('exhausted')).getState());
  await failing.close();
  say('all', await jobs.retryJobs({ state: 'failed' }), await jobs.getJobCounts('wait', 'failed'));
});

part('repetition', NEEDS, async () => {
  const jobs = queue();
  const runs = [];
  await worker(async (job) => runs.push([job.name, job.data.n]));
  await jobs.upsertJobScheduler(
    'often',
    { every: 100, limit: 4 },
    { name: 'tick', data: { n: 1 } },
  );
  await waitUntil(() => runs.length === 4, 'four runs');
  say('runs', runs);
  await jobs.upsertJobScheduler('hourly', { pattern: '0 0 * * * *' }, { name: 'hour' });
  const schedulers = await jobs.getJobSchedulers();
  say(
    'schedulers',
    schedulers.map(({ key, pattern, every }) => ({ key, pattern, every })),
    await jobs.getDelayedCount(),
  );
  say('removed', await jobs.removeJobScheduler('hourly'), await jobs.getDelayedCount());
});

part('flows', NEEDS, async () => {
  const flows = new FlowProducer({ connection });
  open.push(flows);
  const order = [];
  const parents = queue('parents');
  await worker(
    async (job) => {
      order.push(job.name);
      return job.data.n;
    },
    { concurrency: 3 },
    'children',
  );
  await worker(
    async (job) => {
      const values = Object.values(await job.getChildrenValues());
      order.push(job.name);
      return values.reduce((sum, value) => sum + value, 0);
    },
    {},
    'parents',
  );
  const tree = await flows.add({
    name: 'top',
    queueName: 'parents',
    children: [
      {
        name: 'middle',
        queueName: 'parents',
        children: [1, 2, 3].map((n) => ({ name: `leaf ${n}`, queueName: 'children', data: { n } })),
      },
      { name: 'leaf 4', queueName: 'children', data: { n: 4 } },
    ],
  });
  await done(parents, 2);
  const top = await parents.getJob(tree.job.id);
  say('sum', top.returnvalue, order.slice(-2), order.length);
  say('dependencies', await top.getDependenciesCount(), await top.getState());
  const found = await flows.getFlow({ queueName: 'parents', id: top.id });
  say('tree', found.children.map((child) => child.job.name).sort());
});

part('upkeep', NEEDS, async () => {
  const jobs = queue();
  await jobs.pause();
  await jobs.addBulk(
    Array.from({ length: 10 }, (_, index) => ({
      name: 'j',
      data: index,
      opts: { jobId: `j-${index}` },
    })),
  );
  say('paused', await jobs.isPaused(), await jobs.getJobCounts('wait', 'paused'));
  const twice = [
    await jobs.add('once', 1, { jobId: 'same' }),
    await jobs.add('once', 2, { jobId: 'same' }),
  ];
  say(
    'same id',
    twice.map((job) => job.id),
    (await jobs.getJob('same')).data,
  );
  const single = [
    await jobs.add('d', 1, { deduplication: { id: 'x' } }),
    await jobs.add('d', 2, { deduplication: { id: 'x' } }),
  ];
  say(
    'deduplicated',
    single[0].id === single[1].id,
    (await jobs.getDeduplicationJobId('x')) === single[0].id,
  );
  say('removed', await jobs.remove('j-3'), await jobs.remove('none'), await jobs.count());
  const seen = [];
  const limited = await worker(async (job) => seen.push(job.id), {
    limiter: { max: 4, duration: 100 },
    removeOnComplete: { count: 3 },
  });
  const began = Date.now();
  await jobs.resume();
  await waitUntil(() => seen.length === 11, 'eleven jobs');
  await waitUntil(async () => (await jobs.getActiveCount()) === 0, 'no job is active');
  say('limited', Date.now() - began >= 200, await jobs.getCompletedCount());
  await limited.close();
  await jobs.add('held', {}, { delay: 60000 });
  await jobs.add('dropped', {});
  await jobs.drain();
  say('drained', await jobs.getJobCounts('wait', 'delayed'));
  say('cleaned', (await jobs.clean(0, 100, 'completed')).length, await jobs.getCompletedCount());
  say('held', (await jobs.getJob('held')) === undefined);
  await jobs.obliterate({ force: true });
  await waitUntil(async () => (await client.keys('bull:q:*')).length === 0, 'no key is left');
  say('gone', await client.keys('*'));
});

part('crash', NEEDS, async () => {
  const jobs = queue();
  await jobs.add('long', {});
  let starts = 0;
  const run = async () => {
    if (++starts === 1) await sleep(60000);
    return starts;
  };
  const first = await worker(run, {
    lockDuration: 300,
    stalledInterval: 200,
    skipLockRenewal: true,
  });
  await waitUntil(() => starts === 1, 'the first start');
  await worker(run, { lockDuration: 300, stalledInterval: 200 });
  await done(jobs, 1);
  say('taken over', starts, (await jobs.getJob('1')).returnvalue);
  await first.close(true);
});

await main(prepare);
