// Answers that are cut off, by whatever ends a backend, in every mode: what its asker is given is whole, or says that it
// is not.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, it } from 'vitest'
import type { Reply } from '../../src/connection/Reply.ts'
import { Endpoint } from '../../src/Endpoint.ts'
import { until } from '../support/misbehavingServer.ts'
import { canRunRedis, RedisServer } from '../support/redisServers.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const folder = () => {
  const made = mkdtempSync(join(tmpdir(), 'guru-answers-'))
  cleanups.push(() => rmSync(made, { recursive: true, force: true }))
  return made
}

class Server {
  readonly child: ChildProcess
  readonly asked: string[] = []
  port = 0
  readonly gone: Promise<unknown>

  constructor(options: object) {
    const program = join(import.meta.dirname, 'answerServer.mjs')
    this.child = spawn(process.execPath, [program, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.gone = once(this.child, 'exit')
    createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const { port, asked } = JSON.parse(line) as { port?: number; asked?: string }
      if (port !== undefined) this.port = port
      if (asked !== undefined) this.asked.push(asked)
    })
    cleanups.push(() => this.end('SIGKILL'))
  }

  async listening(): Promise<this> {
    await until(() => this.port !== 0, 'it listens')
    return this
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill(signal)
    await this.gone
  }
}

/** One that asks, and hears of everything. */
function asker(port: () => number, session: 'off' | 'required') {
  const endpoint = new Endpoint({
    WS_URL: () => `ws://127.0.0.1:${port()}/ws`,
    API_BASE_URL: 'http://127.0.0.1:1',
    connection: { session, reconnectDelay: 50, healthUrl: false, healthInterval: 100_000 },
  })
  endpoint.on('error', () => {})
  cleanups.push(() => endpoint.dispose())
  return endpoint
}

const whole = (id: string) => Array.from({ length: 8 }, (_, index) => `${id}:${index + 1} `).join('')
const begun = (id: string) => Array.from({ length: 5 }, (_, index) => `${id}:${index + 1} `).join('')

/** What came of an answer: its text, or the code of its error, with the text so far. */
const outcome = (reply: Reply) =>
  reply.text().then(
    (text) => ({ text, code: 'whole', remote: undefined as string | undefined }),
    ({ text, code, remote }: { text: string; code: string; remote?: { code: string } }) => ({
      text,
      code,
      remote: remote?.code,
    }),
  )

/** The text of an answer as far as it has come, by a reader of its own. */
function reader(reply: Reply) {
  const read = { text: '', error: undefined as unknown, done: false }
  void (async () => {
    try {
      for await (const piece of reply) read.text += piece
    } catch (error) {
      read.error = error
    }
    read.done = true
  })()
  return read
}

/** Asks two questions of a server that stalls in the first, then ends it; another begins in its place. */
async function cutOff(options: {
  session: 'off' | 'required'
  signal: NodeJS.Signals
  graceMs?: number
  place?: object
}) {
  const { session, signal, graceMs = 0, place = {} } = options
  const first = await new Server({ stall: true, graceMs, ...place }).listening()
  let port = first.port
  const endpoint = asker(() => port, session)
  const [one, two] = [endpoint.ask('first', { id: 'one' }), endpoint.ask('second', { id: 'two' })]
  const read = reader(one)
  await until(() => read.text === begun('one'), 'five words have come')
  await first.end(signal)
  const next = await new Server({ port: session === 'required' ? first.port : 0, ...place }).listening()
  port = next.port
  const outcomes = { one: await outcome(one), two: await outcome(two) }
  await until(() => read.done, 'the reader has ended')
  return { outcomes, read, first, next }
}

const GRACES = [0, 100]

describe('an answer that the end of its backend cuts off', () => {
  it.each(GRACES)(
    'over a plain line, SIGTERM with a grace of %i ms: says so, as does one that had not begun',
    async (graceMs) => {
      const { outcomes, read } = await cutOff({ session: 'off', signal: 'SIGTERM', graceMs })
      expect(outcomes).toEqual({
        one: { text: begun('one'), code: 'REMOTE', remote: 'GOING_AWAY' },
        two: { text: '', code: 'REMOTE', remote: 'GOING_AWAY' },
      })
      expect(read).toMatchObject({ text: begun('one'), error: { code: 'REMOTE' } })
    },
  )

  it('over a plain line, SIGKILL: says so', async () => {
    const { outcomes } = await cutOff({ session: 'off', signal: 'SIGKILL' })
    expect(outcomes).toEqual({
      one: { text: begun('one'), code: 'CONNECTION', remote: undefined },
      two: { text: '', code: 'CONNECTION', remote: undefined },
    })
  })

  it.each(GRACES)('in a session without a store, SIGTERM with a grace of %i ms: says so', async (graceMs) => {
    const { outcomes } = await cutOff({ session: 'required', signal: 'SIGTERM', graceMs })
    expect(outcomes).toEqual({
      one: { text: begun('one'), code: 'REMOTE', remote: 'GOING_AWAY' },
      two: { text: '', code: 'REMOTE', remote: 'GOING_AWAY' },
    })
  })

  it('in a session without a store, SIGKILL: says so', async () => {
    const { outcomes } = await cutOff({ session: 'required', signal: 'SIGKILL' })
    expect(outcomes).toEqual({
      one: { text: begun('one'), code: 'SESSION_LOST', remote: undefined },
      two: { text: '', code: 'SESSION_LOST', remote: undefined },
    })
  })

  it.each([
    ['SIGTERM', 0],
    ['SIGTERM', 100],
    ['SIGKILL', 0],
  ] as const)(
    'in a session with a store, %s with a grace of %i ms: is whole, from the next process',
    async (signal, graceMs) => {
      const place = { store: join(folder(), 'sessions.db') }
      const { outcomes, read, first, next } = await cutOff({ session: 'required', signal, graceMs, place })
      expect(outcomes).toEqual({
        one: { text: whole('one'), code: 'whole', remote: undefined },
        two: { text: whole('two'), code: 'whole', remote: undefined },
      })
      // Whoever reads piece by piece is given each once.
      expect(read).toEqual({ text: whole('one'), error: undefined, done: true })
      expect(first.asked).toEqual(['one'])
      expect(next.asked).toEqual(['one', 'two'])
    },
  )
})

describe('an answer whose asker closes the line', () => {
  it.each(['off', 'required'] as const)('session: %s: says so', async (session) => {
    const server = await new Server({ stall: true }).listening()
    const endpoint = asker(() => server.port, session)
    const reply = endpoint.ask('first', { id: 'one' })
    const read = reader(reply)
    await until(() => read.text === begun('one'), 'five words have come')
    endpoint.connection.close()
    expect(await outcome(reply)).toEqual({ text: begun('one'), code: 'CONNECTION', remote: undefined })
  })
})

describe.skipIf(!canRunRedis('answers of two nodes'))('an answer of one of two nodes on one engine', () => {
  it.each(['SIGTERM', 'SIGKILL', 'SIGUSR2'] as const)(
    'that gets %s is whole, from the other',
    async (signal) => {
      const engine = await RedisServer.start()
      cleanups.push(() => engine.stop())
      const place = { redis: engine.port }
      const [one, other] = await Promise.all([
        new Server({ stall: true, ...place }).listening(),
        new Server(place).listening(),
      ])
      let port = one.port
      const endpoint = asker(() => port, 'required')
      const [first, second] = [endpoint.ask('first', { id: 'one' }), endpoint.ask('second', { id: 'two' })]
      const read = reader(first)
      await until(() => read.text === begun('one'), 'five words have come')
      port = other.port
      // It lives on, and lets go of the session.
      if (signal === 'SIGUSR2') one.child.kill(signal)
      else await one.end(signal)
      expect(await outcome(first)).toEqual({ text: whole('one'), code: 'whole', remote: undefined })
      expect(await outcome(second)).toEqual({ text: whole('two'), code: 'whole', remote: undefined })
      await until(() => read.done, 'the reader has ended')
      expect(read).toEqual({ text: whole('one'), error: undefined, done: true })
      expect(other.asked).toEqual(['one', 'two'])
    },
  )
})
