// The backend over sessions: the same talk, and it outlives its connections.

import { afterEach, describe, expect, it } from 'vitest'
import { RawClient } from '../../tests/support/backendClients.ts'
import { FrameClient } from '../../tests/support/frameClient.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { type Backend, createBackend } from './createBackend.ts'
import type { BackendOptions } from './options.ts'
import type { Responder } from './responder.ts'

let backend: Backend
const clients: FrameClient[] = []
const start = async (options: BackendOptions = {}) => {
  backend = await createBackend({ port: 0, ...options })
}
const client = (options: ConstructorParameters<typeof FrameClient>[1] = {}) => {
  const made = new FrameClient(backend.port, options)
  clients.push(made)
  return made
}
afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.terminate()
  await backend.close({ graceMs: 0 })
})

interface Delta {
  number: number
  request_id?: string
  content?: string
  end?: boolean
  type?: string
  message?: string
}
const ask = (id: string, content = 'Good day') =>
  JSON.stringify({ role: 'user', type: 'message', id, content })
const deltas = (line: FrameClient) =>
  line.messages.map((frame): Delta => {
    const colon = frame.indexOf(':')
    return { ...JSON.parse(frame.slice(colon + 1)), number: Number(frame.slice(0, colon)) }
  })
const ended = (line: FrameClient, id: string) =>
  until(
    () => deltas(line).some((delta) => delta.request_id === id && delta.end === true),
    `"${id}" is answered`,
  )
const textOf = (all: readonly Delta[], id: string) =>
  all
    .filter(({ request_id }) => request_id === id)
    .map(({ content }) => content)
    .join('')

/** Says one word after the other, when it is told to. */
function stepwise() {
  const steps: (() => void)[] = []
  let asked = 0
  const responder: Responder = {
    async *respond(_question, { signal }) {
      for (let count = 1; count <= 6; count += 1) {
        await new Promise<void>((resolve) => {
          steps.push(resolve)
          asked += 1
        })
        if (signal.aborted) return
        yield `word${count} `
      }
    },
  }
  return {
    responder,
    /** One more word. */
    async step(): Promise<void> {
      const before = asked
      await until(() => steps.length > 0, 'the next word is wanted')
      steps.shift()?.()
      await until(() => asked > before || steps.length === 0, 'it is said')
    },
  }
}

describe('the backend over a session', () => {
  it('answers as it does over a plain line, to both at once', async () => {
    await start()
    const line = client()
    await line.open()
    line.say(`1:${ask('q')}`)
    await ended(line, 'q')
    expect(textOf(deltas(line), 'q')).toBe('You said: Good day')
    await line.acked(1)
    const plain = await new RawClient(backend.port).opened()
    plain.ask('q', 'Hello')
    expect(await plain.answer('q')).toBe('You said: Hello')
    expect(plain.socket.protocol).toBe('')
    expect(backend.getStats()).toMatchObject({ connections: 2, replies: 0 })
    plain.socket.terminate()
  })

  it('an answer goes on without a gap over a cut, and while the user is away', async () => {
    const { responder, step } = stepwise()
    await start({ responder })
    const one = client()
    const opened = await one.open()
    one.say(`1:${ask('q')}`)
    await step()
    await step()
    await until(() => textOf(deltas(one), 'q') === 'word1 word2 ', 'two words come')
    const heard = deltas(one)
    backend.cut()
    await one.closing()
    await step()
    await step()
    expect(backend.getStats()).toMatchObject({ connections: 0, replies: 1 })
    const two = client()
    const resumed = await two.resume(opened, 1, heard.length)
    expect(resumed).toMatchObject({ rx: 1 })
    await step()
    await step()
    await ended(two, 'q')
    const all = [...heard, ...deltas(two)]
    expect(textOf(all, 'q')).toBe('word1 word2 word3 word4 word5 word6 ')
    expect(all.map(({ number }) => number)).toEqual(all.map((_, index) => index + 1))
  })

  it('stops an answer when its user asks for it, and when the session ends', async () => {
    const { responder } = stepwise()
    await start({ responder })
    const line = client()
    await line.open()
    line.say(`1:${ask('a')}`, `2:${ask('b')}`, `3:${JSON.stringify({ type: 'stop', id: 'a' })}`)
    await ended(line, 'a')
    await until(() => backend.getStats().replies === 1, 'the next has its turn')
    line.say({ t: 'close' })
    await until(() => backend.getStats().replies === 0, 'it ends with its session')
  })

  it('says what is wrong, answers pings, counts audio of every kind', async () => {
    await start()
    const line = client()
    await line.open()
    line.say(
      '1:{"broken":',
      `2:${JSON.stringify({ type: 'message', id: 'q', content: '' })}`,
      `3:${JSON.stringify({ type: 'ping', timestamp: 5 })}`,
      `4:${JSON.stringify({ type: 'audio', data: 'QUJD' })}`,
      Uint8Array.of(1, 0, 0, 0, 0, 5, 1, 2, 3, 4),
      Uint8Array.of(0, 0, 1, 2, 3, 4, 5),
      `:${JSON.stringify({ type: 'audio', data: 'QUJD' })}`,
    )
    await line.acked(5)
    await until(() => backend.getStats().audioBytes === 15, 'all audio is counted')
    await until(() => line.messages.length === 3, 'three are answered')
    expect(deltas(line)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ type: 'error', message: 'this is no JSON' }),
        expect.objectContaining({ type: 'error', request_id: 'q', end: true }),
        expect.objectContaining({ type: 'pong', timestamp: 5 }),
      ]),
    )
  })

  it('who says too much is slowed down, and loses nothing', async () => {
    await start({ messagesPerSecond: 50 })
    const line = client()
    await line.open()
    const pings = Array.from({ length: 130 }, (_, index) =>
      JSON.stringify({ type: 'ping', timestamp: index }),
    )
    line.say(...pings.map((ping, index) => `${index + 1}:${ping}`))
    await until(() => line.messages.length === 130, 'all are answered')
    expect(deltas(line).map((pong) => (pong as { timestamp?: number }).timestamp)).toEqual(
      pings.map((_, index) => index),
    )
    await line.acked(130)
  })

  it('latency on demand holds messages back, in order', async () => {
    await start({ faults: true })
    const line = client()
    await line.open()
    await fetch(`${backend.url}/__faults`, { method: 'POST', body: '{"latencyMs":30}' })
    line.say(`1:${ask('a')}`)
    await fetch(`${backend.url}/__faults`, { method: 'POST', body: '{"latencyMs":0}' })
    line.say(`2:${ask('b')}`)
    await ended(line, 'b')
    expect(deltas(line)[0]).toMatchObject({ request_id: 'a' })
  })

  it('latency on demand holds back what the session answers by itself, too', async () => {
    const clock = new VirtualClock()
    await start({ faults: true, clock, pingInterval: Number.POSITIVE_INFINITY })
    const line = client()
    await line.open()
    await fetch(`${backend.url}/__faults`, { method: 'POST', body: '{"latencyMs":2000}' })
    line.say({ t: 'ping', at: 1 })
    await new Promise((resolve) => line.socket.once('pong', resolve).ping())
    expect(line.control('pong')).toBeUndefined()
    await clock.advance(2000)
    await until(() => line.control('pong') !== undefined, 'the pong comes')
  })

  it('knows its users by the first frame or the upgrade; a stop by HTTP reaches their sessions', async () => {
    const { responder } = stepwise()
    await start({
      responder,
      authenticate: ({ headers }) => (headers.authorization === 'Bearer of ada' ? 'ada' : undefined),
    })
    await expect(client().open()).rejects.toThrow('closed with 4401')
    await expect(client().open({ auth: 'wrong' })).rejects.toThrow('closed with 4401')
    const line = client()
    await line.open({ auth: 'of ada' })
    await client({ headers: { authorization: 'Bearer of ada' } }).open()
    line.say(`1:${ask('q')}`)
    await until(() => backend.getStats().replies === 1, 'it is being answered')
    const response = await fetch(`${backend.url}/api/stop-generation`, {
      method: 'POST',
      headers: { authorization: 'Bearer of ada' },
    })
    expect(await response.json()).toEqual({ stopped: 1 })
    await ended(line, 'q')
  })

  it('lets in whom a plain line would: path, origin, places', async () => {
    await start({ maxConnectionsPerAddress: 1 })
    expect(await client({ path: '/other' }).refusal()).toBe(404)
    expect(await client({ origin: 'https://evil.example' }).refusal()).toBe(403)
    await client().open()
    expect(await client().refusal()).toBe(429)
  })

  it('at its end the running answer may end, then the session does', async () => {
    const { responder, step } = stepwise()
    await start({ responder })
    const line = client()
    await line.open()
    line.say(`1:${ask('q')}`)
    await step()
    const closed = backend.close({ graceMs: 10_000 })
    for (let count = 2; count <= 6; count += 1) await step()
    expect(await line.closing()).toMatchObject({ code: 4410 })
    expect(textOf(deltas(line), 'q')).toBe('word1 word2 word3 word4 word5 word6 ')
    await closed
  })
})
