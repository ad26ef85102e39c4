// ioredis: pipelines, transactions, key prefixes, streams of keys, scripts, publishing, waiting.

import { Redis } from 'ioredis';

import { HOST, PORT, main, part, say, sayError, waitUntil } from './scenario.mjs';

const open = new Set();

function connect(options = {}) {
  const client = new Redis({ host: HOST, port: PORT, ...options });
  open.add(client);
  return client;
}

async function prepare() {
  for (const client of open) client.disconnect();
  open.clear();
  await connect().flushall();
}

part('values', [], async () => {
  const client = connect();
  say(
    'strings',
    await client.set('a', 1),
    await client.set('a', 2, 'NX'),
    await client.set('a', 3, 'EX', 100, 'GET'),
  );
  say(
    'numbers',
    await client.incr('a'),
    await client.incrbyfloat('a', 0.5),
    await client.append('a', '!'),
    await client.get('a'),
  );
  say(
    'hash',
    await client.hset('h', { a: 1, b: 'zwei' }),
    await client.hgetall('h'),
    await client.hmget('h', 'a', 'none'),
  );
  say(
    'map',
    await client.hset('m', new Map([['x', 1]])),
    await client.mset({ k1: 1, k2: 2 }),
    await client.mget('k1', 'k2', 'k3'),
  );
  say(
    'list',
    await client.rpush('l', 1, 2, 3),
    await client.lrange('l', 0, -1),
    await client.lmove('l', 'l2', 'LEFT', 'RIGHT'),
  );
  say(
    'set',
    await client.sadd('s', 'x', 'y'),
    await client.smismember('s', 'x', 'z'),
    (await client.smembers('s')).sort(),
  );
  say(
    'sorted set',
    await client.zadd('z', 1, 'a', 2.5, 'b'),
    await client.zrange('z', 0, -1, 'WITHSCORES'),
    await client.zscore('z', 'b'),
  );
  say('binary', await client.setBuffer('bin', Buffer.from([0, 255, 13, 10])), [
    ...(await client.getBuffer('bin')),
  ]);
  say(
    'stream',
    await client.xadd('x', '1-1', 'f', 'v'),
    await client.xrange('x', '-', '+'),
    await client.xread('STREAMS', 'x', '0'),
  );
  say(
    'expiry',
    await client.expire('h', 100),
    await client.ttl('h'),
    await client.pexpire('none', 5),
    await client.persist('h'),
  );
  await sayError('wrong type', client.lpush('a', 1));
  await sayError('unknown', client.call('NOSUCH', 'x'));
  const prefixed = connect({ keyPrefix: 'my:', db: 2 });
  say(
    'prefixed',
    await prefixed.set('k', 1),
    await prefixed.keys('*'),
    await prefixed.del('k', 'none'),
    await client.dbsize(),
  );
});

part('pipelines', [], async () => {
  const client = connect();
  const pipeline = client.pipeline();
  for (let index = 0; index < 2000; index++) pipeline.set(`k${index}`, index).incr(`k${index}`);
  const replies = await pipeline.exec();
  say(
    'many',
    replies.length,
    replies.reduce((sum, [, value]) => sum + (Number(value) || 0), 0),
  );
  say('multi', await client.multi().set('a', 1).incr('a').get('a').exec());
  say('with an error', await client.multi().set('a', 'x').incr('a').get('a').exec());
  await sayError('refused', client.multi().set('a').get('a').exec());
  await client.watch('a');
  await connect().set('a', 'other');
  say('watched', await client.multi().set('a', 'mine').exec(), await client.get('a'));
  const auto = connect({ enableAutoPipelining: true });
  const values = await Promise.all(
    Array.from({ length: 500 }, (_, index) => auto.incrby('n', index)),
  );
  say('automatic', values.length, values.at(-1), await auto.get('n'));
  say(
    'parallel',
    (await Promise.all(Array.from({ length: 1000 }, (_, index) => client.echo(index)))).at(-1),
  );
});

part('scanning', [], async () => {
  const client = connect();
  await client.mset(
    Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`key:${index}`, index])),
  );
  await client.hset(
    'h',
    Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`f${index}`, index])),
  );
  const keys = new Set();
  for await (const page of client.scanStream({ match: 'key:*', count: 50 }))
    page.forEach((key) => keys.add(key));
  say('keys', keys.size);
  const fields = new Set();
  for await (const page of client.hscanStream('h'))
    page.forEach((field, index) => index % 2 || fields.add(field));
  say('fields', fields.size, await client.unlink(...keys), await client.dbsize());
});

part('connections', [], async () => {
  const client = connect({ connectionName: 'me', lazyConnect: true, db: 4 });
  await client.connect();
  say('ready', client.status, await client.client('GETNAME'), await client.set('a', 1));
  say(
    'info',
    /redis_version:\d+\.\d+\.\d+/.test(await client.info()),
    /db4:keys=1/.test(await client.info('keyspace')),
  );
  const again = new Promise((done) => client.once('ready', done));
  const id = await client.client('ID');
  await connect().client('KILL', 'ID', id);
  await again;
  say(
    'connected again',
    await client.client('GETNAME'),
    await client.get('a'),
    (await client.client('ID')) > id,
  );
  const copy = client.duplicate();
  open.add(copy);
  say('duplicate', await copy.get('a'), await copy.quit());
});

part('scripts', ['scripts'], async () => {
  const client = connect();
  client.defineCommand('addAll', {
    numberOfKeys: 2,
    lua: "local sum = 0 for i, key in ipairs(KEYS) do sum = sum + redis.call('INCRBY', key, ARGV[1]) end return {sum, KEYS[1]}",
  });
  say('defined', await client.addAll('a', 'b', 5), await client.addAll('a', 'b', 5));
  say('in a pipeline', await client.pipeline().addAll('a', 'b', 1).get('a').exec());
  await client.script('FLUSH');
  say(
    'after a flush',
    await client.addAll('a', 'b', 1),
    await client.pipeline().addAll('a', 'b', 1).exec(),
  );
  say('in multi', await client.multi().addAll('a', 'b', 1).get('b').exec());
  say(
    'values',
    await client.eval(
      'return {1, 2.7, "x", false, true, {ok = "fine"}, redis.status_reply("S")}',
      0,
    ),
  );
  say(
    'libraries',
    await client.eval(
      "return cjson.encode({cmsgpack.unpack(cmsgpack.pack({1, 'a'})), cjson.decode(ARGV[1]).x})",
      0,
      '{"x":[1,{"y":2}]}',
    ),
  );
  await sayError('error', client.eval("return redis.error_reply('MY error')", 0));
  await sayError('not compiled', client.eval('return nothing(', 0));
});

part('publishing', ['pubsub'], async () => {
  const listener = connect();
  const client = connect();
  const seen = [];
  listener.on('message', (channel, message) => seen.push([channel, message]));
  listener.on('pmessage', (pattern, channel, message) => seen.push([pattern, channel, message]));
  say('subscribed', await listener.subscribe('news', 'sport'), await listener.psubscribe('new*'));
  say(
    'published',
    await client.publish('news', 'one'),
    await client.publish('sport', 'two'),
    await client.publish('none', ''),
  );
  await waitUntil(() => seen.length === 3, 'three messages');
  say('received', seen);
  say(
    'about',
    await client.pubsub('NUMSUB', 'news', 'none'),
    await client.pubsub('NUMPAT'),
    (await client.pubsub('CHANNELS')).sort(),
  );
  say(
    'unsubscribed',
    await listener.unsubscribe('news'),
    await listener.punsubscribe('new*'),
    await client.publish('news', 'x'),
  );
  seen.length = 0;
  await Promise.all(
    Array.from({ length: 500 }, (_, index) => client.publish('sport', String(index))),
  );
  await waitUntil(() => seen.length === 500, 'five hundred messages');
  say(
    'in order',
    seen.every(([, message], index) => message === String(index)),
  );
  const again = new Promise((done) => listener.once('ready', done));
  await client.client('KILL', 'TYPE', 'pubsub');
  await again;
  await waitUntil(
    async () => (await client.pubsub('NUMSUB', 'sport'))[1] === 1,
    'subscribed again',
  );
  seen.length = 0;
  await client.publish('sport', 'after');
  await waitUntil(() => seen.length === 1, 'a message');
  say('after a new connection', seen);
});

part('waiting', ['blocking'], async () => {
  const client = connect();
  const waiter = connect();
  say(
    'nothing comes',
    await waiter.blpop('l', 0.05),
    await waiter.bzpopmin('z', 0.05),
    await waiter.xread('BLOCK', 20, 'STREAMS', 'x', '$'),
  );
  const blocked = () =>
    waitUntil(async () => /blocked_clients:1/.test(await client.info('clients')), 'a client waits');
  const popped = waiter.blpop('none', 'l', 5);
  await blocked();
  await client.rpush('l', 'a', 'b');
  say('list', await popped, await client.lrange('l', 0, -1));
  const smallest = waiter.bzpopmin('z', 5);
  await blocked();
  await client.zadd('z', 2, 'two', 1, 'one');
  say('sorted set', await smallest);
  const entry = waiter.xread('BLOCK', 5000, 'STREAMS', 'x', '$');
  await blocked();
  await client.xadd('x', '7-0', 'a', 'b');
  say('stream', await entry);
  const taken = [];
  const workers = Array.from({ length: 4 }, async () => {
    const own = connect();
    for (;;) {
      const [, item] = await own.brpop('jobs', 5);
      if (item === 'end') return;
      taken.push(Number(item));
    }
  });
  for (let index = 0; index < 200; index++) await client.lpush('jobs', index);
  await client.lpush('jobs', 'end', 'end', 'end', 'end');
  await Promise.all(workers);
  say('four workers', new Set(taken).size, taken.length, await client.exists('jobs'));
});

await main(prepare);
