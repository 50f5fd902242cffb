// Bad input and bad weather: what a server refuses, or is too slow for, comes as a typed error that says what to do.

import { setTimeout as rest } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EngineCalls } from '../../src/redis/EngineCalls.ts'
import { EngineError, engineError } from '../../src/redis/EngineError.ts'
import type { RedisEngine } from '../../src/redis/RedisEngine.ts'
import { Script } from '../../src/redis/Script.ts'
import { canRunGlide, glide, ioredis, nodeRedis, type OpenedEngine } from '../support/redisClients.ts'
import { canRunRedis, RedisServer } from '../support/redisServers.ts'

const can = canRunRedis('errors of Redis servers')
const WRITE = new Script('write', `return redis.call('SET', KEYS[1], ARGV[1])`)

async function failure(work: Promise<unknown>): Promise<EngineError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(EngineError)
  return error as EngineError
}

const clients = { ioredis, 'node-redis': nodeRedis, ...(canRunGlide && { GLIDE: glide }) }

describe.skipIf(!can).each(Object.entries(clients))('through %s', (_, open) => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start({
      user: [
        'eve on >secret-word +@all -@scripting ~* &*',
        'bob on >secret-word +@scripting +info -set ~* &other',
      ],
    })
  })
  afterAll(() => server?.stop())

  async function within(
    opened: OpenedEngine | Promise<OpenedEngine>,
    work: (calls: EngineCalls) => Promise<void>,
  ) {
    const { engine, end } = await opened
    try {
      await work(new EngineCalls(engine, { timeout: 500 }))
    } finally {
      await end()
    }
  }

  it('a user that may not run scripts, or not what they run, or not listen', async () => {
    const credentials = { port: server.port, password: 'secret-word' }
    await within(open({ ...credentials, username: 'eve' }), async (calls) => {
      const error = await failure(calls.run(WRITE, ['a'], ['1']))
      expect(error).toMatchObject({ code: 'ENGINE', reason: 'permission' })
      expect(error.message).toContain('+@scripting')
    })
    await within(open({ ...credentials, username: 'bob' }), async (calls) => {
      expect(await failure(calls.run(WRITE, ['a'], ['1']))).toMatchObject({ reason: 'permission' })
      // GLIDE cannot tell a refusal from an absence.
      if (open === glide) return
      const listening = calls.subscribe(
        'forbidden',
        () => {},
        () => {},
      )
      expect(await failure(listening)).toMatchObject({ reason: 'permission' })
    })
  })

  it('maxmemory reached', async () => {
    await server.command('CONFIG', 'SET', 'maxmemory', '1')
    await within(open(server), async (calls) => {
      const error = await failure(calls.run(WRITE, ['a'], ['1']))
      expect(error.reason).toBe('full')
      expect(error.message).toMatch(/maxmemory/)
    })
    await server.command('CONFIG', 'SET', 'maxmemory', '0')
  })

  // GLIDE itself refuses to be made for one.
  it.skipIf(open === glide)('a replica that may only be read', async () => {
    const replica = await RedisServer.start({ replicaof: `127.0.0.1 ${server.port}` })
    try {
      await within(open(replica), async (calls) => {
        const error = await failure(calls.run(WRITE, ['a'], ['1']))
        expect(error.reason).toBe('readOnly')
        expect(error.message).toContain('primary')
      })
    } finally {
      await replica.stop()
    }
  })

  it('something else under the key, and a script that is at fault', async () => {
    await within(open(server), async (calls) => {
      await calls.command(['RPUSH', 'list', 'x'], 'list')
      const get = new Script('get', `return redis.call('GET', KEYS[1])`)
      expect(await failure(calls.run(get, ['list'], []))).toMatchObject({ reason: 'command' })
      expect(await failure(calls.run(new Script('bad', 'nonsense'), ['a'], []))).toMatchObject({
        reason: 'command',
      })
    })
  })

  it('a server that does not answer, and one that is gone: an error in time, and it works again after', async () => {
    await within(open(server), async (calls) => {
      await calls.run(WRITE, ['a'], ['1'])
      server.freeze()
      const slow = await failure(calls.run(WRITE, ['a'], ['2']))
      expect(slow.reason).toBe('timeout')
      expect(slow.message).toContain('500 ms')
      server.thaw()
      await calls.run(WRITE, ['a'], ['3'])
      await server.kill()
      const gone = await failure(calls.run(WRITE, ['a'], ['4']))
      expect(['timeout', 'unreachable']).toContain(gone.reason)
      await server.restart()
      for (let tries = 0; tries < 500; tries += 1) {
        const done = await calls.run(WRITE, ['a'], ['5']).then(
          () => true,
          () => false,
        )
        if (done) break
        await rest(20)
      }
      expect(await server.command('GET', 'a')).toBe('5')
    })
  })
})

describe.skipIf(!can)('wrong credentials', () => {
  it('are told, without the password', async () => {
    const server = await RedisServer.start({ user: 'default on >right-word ~* &* +@all' })
    const { engine, end } = ioredis({ port: server.port, password: 'wrong-word' })
    try {
      const error = await failure(new EngineCalls(engine).run(WRITE, ['a'], ['1']))
      expect(['authentication', 'unreachable']).toContain(error.reason)
      expect(JSON.stringify([error, error.message, error.cause, String(error.cause)])).not.toContain(
        'wrong-word',
      )
    } finally {
      await end()
      await server.stop()
    }
  })
})

describe('without a server', () => {
  const engineSaying = (info: string): RedisEngine => ({
    command: async ([name]) => (name === 'INFO' ? Buffer.from(info) : 'OK'.length),
    subscribe: async () => async () => {},
    close: async () => {},
  })

  it('a server that is too old is refused, and asked again when it may be another', async () => {
    const old = engineSaying('# Server\r\nredis_version:6.2.14\r\nredis_mode:standalone\r\n')
    const calls = new EngineCalls(old, { what: 'limits' })
    for (let turn = 0; turn < 2; turn += 1) {
      const error = await failure(calls.run(WRITE, ['a'], ['1']))
      expect(error.reason).toBe('version')
      expect(error.message).toMatch(/limits.*6\.2\.14.*7\.0/)
    }
    old.command = engineSaying('# Server\r\nredis_version:7.0.0\r\n').command
    await calls.run(WRITE, ['a'], ['1'])
  })

  it('is looked at once for all who share the engine', async () => {
    let looks = 0
    const engine = engineSaying('redis_version:7.2.4\r\nvalkey_version:8.1.0')
    const { command } = engine
    engine.command = (args, key) => {
      if (args[0] === 'INFO') looks += 1
      return command(args, key)
    }
    await Promise.all([1, 2, 3].map(() => new EngineCalls(engine).run(WRITE, ['a'], ['1'])))
    expect(looks).toBe(1)
  })

  it('keys that a cluster would look for on different nodes are refused', async () => {
    const calls = new EngineCalls(engineSaying('redis_version:7.0.0'))
    await expect(calls.run(WRITE, ['a:{x}', 'b:{y}'], [])).rejects.toThrow(
      /hash tag.*"a:\{x\}" and "b:\{y\}"/,
    )
    await calls.run(WRITE, ['a:{x}', 'b:{x}'], [])
  })

  it('what is no engine is refused by name', () => {
    expect(() => new EngineCalls({} as never)).toThrow(
      /"engine" must be an object with command, subscribe, close/,
    )
    expect(() => new EngineCalls(engineSaying(''), { timeout: 0 })).toThrow(/"timeout"/)
  })

  it.each([
    ['NOAUTH Authentication required.', 'authentication'],
    ['WRONGPASS invalid username-password pair or user is disabled.', 'authentication'],
    ["ERR The user executing the script can't run this command or subcommand script: 0", 'permission'],
    ['LOADING Redis is loading the dataset in memory', 'unavailable'],
    ['CLUSTERDOWN The cluster is down', 'unavailable'],
    ['CROSSSLOT Keys in request do not hash to the same slot', 'command'],
    ['connect ECONNREFUSED 127.0.0.1:6379', 'unreachable'],
    ['connect ETIMEDOUT', 'timeout'],
    ['Connection is closed.', 'unreachable'],
    ['', 'unreachable'],
  ])('"%s" is %s', (message, reason) => {
    expect(engineError(new Error(message), 'x').reason).toBe(reason)
  })

  it('the arguments of the command that failed do not travel with the error', () => {
    const error = Object.assign(new Error('WRONGPASS no'), {
      command: { name: 'auth', args: ['hidden-word'] },
    })
    const told = engineError(error, 'x')
    expect(JSON.stringify([told, { ...(told.cause as object) }])).not.toContain('hidden-word')
  })
})
