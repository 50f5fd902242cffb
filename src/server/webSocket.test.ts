// The WebSocket side of the backend, on real sockets.

import { afterEach, describe, expect, it } from 'vitest'
import { RawClient, rawSocket, upgradeHead } from '../../tests/support/backendClients.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { type Backend, createBackend } from './createBackend.ts'
import type { BackendOptions } from './options.ts'
import type { Responder } from './responder.ts'

let backend: Backend
const clients: RawClient[] = []
const start = async (options: BackendOptions = {}) => {
  backend = await createBackend({ port: 0, ...options })
  return backend
}
const client = (options: ConstructorParameters<typeof RawClient>[1] = {}) => {
  const made = new RawClient(backend.port, options)
  clients.push(made)
  return made
}
const open = (options: ConstructorParameters<typeof RawClient>[1] = {}) => client(options).opened()
const refusal = async (options: ConstructorParameters<typeof RawClient>[1] = {}) => {
  const refused = client(options)
  await until(() => refused.refused !== undefined, 'the upgrade is refused')
  return refused.refused
}
afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.terminate()
  await backend.close({ graceMs: 0 })
})

const never = () => new Promise<never>(() => {})
const hanging: Responder = {
  async *respond() {
    yield 'begun'
    await never()
  },
}

describe('a conversation over a WebSocket', () => {
  it('streams the answer as deltas', async () => {
    await start()
    const user = await open()
    user.ask('q', 'Good day')
    expect(await user.answer('q')).toBe('You said: Good day')
    expect(user.heard[0]).toEqual({
      role: 'assistant',
      type: 'message',
      request_id: 'q',
      content: '',
      start: true,
      state: 'thinking',
    })
    expect(user.heard.at(-1)).toEqual({
      role: 'assistant',
      type: 'message',
      request_id: 'q',
      content: '',
      end: true,
      state: 'idle',
    })
  })

  it('answers questions in the order they came', async () => {
    await start()
    const user = await open()
    for (const id of ['a', 'b', 'c']) user.ask(id)
    await user.answer('c')
    expect(user.heard.filter(({ end }) => end).map(({ request_id }) => request_id)).toEqual(['a', 'b', 'c'])
  })

  it('hands image and history to the responder', async () => {
    const seen: unknown[] = []
    await start({
      responder: {
        async *respond(question, { history }) {
          seen.push({ question, history })
          yield 'fine'
        },
      },
    })
    const user = await open()
    user.say({ type: 'message', id: 'a', content: 'Look', image: 'AAAA' })
    user.ask('b', 'And?')
    await user.answer('b')
    expect(seen).toEqual([
      { question: { id: 'a', content: 'Look', image: 'AAAA' }, history: [] },
      {
        question: { id: 'b', content: 'And?' },
        history: [
          { role: 'user', content: 'Look' },
          { role: 'assistant', content: 'fine' },
        ],
      },
    ])
  })

  it('answers pings of both kinds', async () => {
    await start()
    const user = await open()
    user.say({ type: 'ping', timestamp: 17 })
    user.socket.ping('x')
    await until(() => user.heard.length === 1 && user.pongs.length === 1, 'both pongs')
    expect(user.heard).toEqual([{ type: 'pong', timestamp: 17 }])
    expect(user.pongs.map(String)).toEqual(['x'])
  })

  it('stops on a stop, even when the responder hangs', async () => {
    await start({ responder: hanging })
    const user = await open()
    user.ask('a')
    user.ask('b')
    await until(() => user.heard.some(({ content }) => content === 'begun'), 'the answer begins')
    expect(backend.getStats()).toMatchObject({ connections: 1, replies: 2 })
    user.say({ type: 'stop', id: 'a' })
    expect(await user.answer('a')).toBe('begun')
    user.say({ type: 'stop', id: 'b' })
    await user.answer('b')
    expect(backend.getStats().replies).toBe(0)
  })

  it('stops by HTTP: one answer, or all of this user and of nobody else', async () => {
    const authenticate: BackendOptions['authenticate'] = ({ headers }) => headers.authorization
    await start({ responder: hanging, authenticate })
    const [ada, bob] = await Promise.all(
      ['ada', 'bob'].map((authorization) => open({ headers: { authorization } })),
    )
    for (const user of [ada, bob]) {
      for (const id of ['1', '2', '3']) user?.ask(id)
    }
    await until(() => backend.getStats().replies === 6, 'all questions have come')
    const stop = async (body?: object) =>
      (
        await fetch(`${backend.url}/api/stop-generation`, {
          method: 'POST',
          headers: { authorization: 'ada' },
          ...(body ? { body: JSON.stringify(body) } : {}),
        })
      ).json()
    expect(await stop({ id: '2' })).toEqual({ stopped: 1 })
    expect(await stop()).toEqual({ stopped: 2 })
    expect(await stop()).toEqual({ stopped: 0 })
    for (const id of ['1', '2', '3']) await ada?.answer(id)
    expect(backend.getStats().replies).toBe(3)
  })

  it('a responder that fails ends the answer with an error, and the line stays', async () => {
    let calls = 0
    await start({
      responder: {
        async *respond() {
          calls += 1
          yield 'half'
          if (calls === 1) throw new Error('no')
        },
      },
    })
    const user = await open()
    user.ask('a')
    user.ask('b')
    await user.answer('b')
    expect(user.heard.filter(({ end }) => end)).toMatchObject([
      { error: { code: 'FAILED' } },
      { request_id: 'b' },
    ])
  })

  it('takes live audio, as binary frames and as base64', async () => {
    await start()
    const user = await open()
    user.socket.send(new Uint8Array(1000))
    user.say({ type: 'audio', data: Buffer.alloc(300).toString('base64') })
    await until(() => backend.getStats().audioBytes === 1300, 'the audio is counted')
  })

  it('the responder is told when the user goes away', async () => {
    const aborted = Promise.withResolvers<void>()
    await start({
      responder: {
        async *respond(_question, { signal }) {
          signal.addEventListener('abort', () => aborted.resolve())
          yield 'begun'
          await never()
        },
      },
    })
    const user = await open()
    user.ask('a')
    await until(() => user.heard.length > 1, 'the answer begins')
    user.socket.terminate()
    await aborted.promise
    await until(() => backend.getStats().connections === 0, 'the connection is forgotten')
  })
})

describe('who is let in', () => {
  it('a page of another site is not, a page of ours is', async () => {
    await start({ allowedOrigins: ['https://app.example'] })
    expect(await refusal({ origin: 'https://evil.example' })).toBe(403)
    await open({ origin: 'https://app.example' })
    await open({ origin: `http://127.0.0.1:${backend.port}` })
  })

  it('another path is not there', async () => {
    await start()
    expect(await refusal({ path: '/other' })).toBe(404)
  })

  it('who is not known is not, and a look-up that hangs ends', async () => {
    const clock = new VirtualClock()
    await start({
      clock,
      authenticate: ({ headers }) => (headers.authorization === 'slow' ? never() : headers.authorization),
    })
    expect(await refusal()).toBe(401)
    await open({ headers: { authorization: 'ada' } })
    const before = clock.pending
    const slow = client({ headers: { authorization: 'slow' } })
    await until(() => clock.pending > before, 'somebody is looked up')
    await clock.advance(10_000)
    await until(() => slow.refused === 503, 'the upgrade is refused')
  })

  it('a subprotocol that it does not speak is not promised', async () => {
    await start()
    const { socket, text } = await rawSocket(
      backend.port,
      upgradeHead('/ws', 'Sec-WebSocket-Protocol: other.v1\r\n'),
    )
    await until(() => text().includes('\r\n\r\n'), 'an answer')
    expect(text()).toMatch(/^HTTP\/1\.1 101 /)
    expect(text().toLowerCase()).not.toContain('sec-websocket-protocol')
    socket.destroy()
  })

  it('no more connections than there may be, in all and of one address; a place is given back', async () => {
    await start({ maxConnections: 3, maxConnectionsPerAddress: 2 })
    const first = await open()
    await open()
    expect(await refusal()).toBe(429)
    first.socket.terminate()
    await until(() => backend.getStats().connections === 1, 'the first has gone')
    await open()
    await backend.close({ graceMs: 0 })
    await start({ maxConnections: 1 })
    await open()
    expect(await refusal()).toBe(503)
  })

  it('look-ups that hang count as connections', async () => {
    await start({ maxConnections: 1, authenticate: never })
    client()
    const second = client()
    await until(() => second.refused === 503 || clients[0]?.refused === 503, 'one of them is refused')
  })

  it('a refused client that keeps its side open is not kept', async () => {
    await start()
    const { socket, text } = await rawSocket(backend.port, upgradeHead('/other'))
    await until(() => text().includes(' 404 '), 'the refusal arrives')
    // Writing to a socket that the other side has given up ends in a reset.
    let gone = false
    socket.on('error', () => {
      gone = true
    })
    await until(() => {
      if (!gone) socket.write('x')
      return gone
    }, 'the socket is gone on the other side, too')
  })
})

describe('hostile clients', () => {
  const refusals: [string, unknown, string | undefined][] = [
    ['no JSON', '{ half', undefined],
    ['a number', 17, undefined],
    ['an unknown type', { type: 'format-disk', id: 'x' }, 'x'],
    ['keys of the prototype', '{"__proto__":{"admin":true},"type":"message","id":"x"}', 'x'],
    ['a text too long', { type: 'message', id: 'x', content: 'x'.repeat(100_001) }, 'x'],
    ['nesting without end', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, undefined],
  ]
  it.each(refusals)('%s is told so, and the line stays', async (_what, message, id) => {
    await start()
    const user = await open()
    user.say(message)
    await until(() => user.heard.length === 1, 'an answer')
    expect(user.heard[0]).toMatchObject({ type: 'error', message: expect.any(String) })
    expect(user.heard[0]?.request_id).toBe(id)
    user.ask('after')
    expect(await user.answer('after')).toBe('You said: Hello')
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })

  it('a message that is too large closes with 1009', async () => {
    await start({ maxPayload: 1000 })
    const user = await open()
    user.say('x'.repeat(1001))
    expect(await user.closing()).toMatchObject({ code: 1009 })
  })

  it('text that is no UTF-8 closes with 1007, a frame that is none with 1002', async () => {
    await start()
    const text = await open()
    text.socket.send(Buffer.from([0xff, 0xfe]), { binary: false })
    expect(await text.closing()).toMatchObject({ code: 1007 })
    const { socket, text: answer } = await rawSocket(backend.port, upgradeHead())
    await until(() => answer().includes('\r\n\r\n'), 'the upgrade')
    socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff]))
    await until(() => answer().endsWith('\x88\x02\x03\xea'), 'a close frame with 1002')
    socket.destroy()
  })

  it('more messages than may be close with 1008', async () => {
    await start({ messagesPerSecond: 5, clock: new VirtualClock() })
    const user = await open()
    for (let n = 0; n < 11; n += 1) user.say({ type: 'pong' })
    expect(await user.closing()).toEqual({ code: 1008, reason: 'too many messages' })
  })

  it('pings count as messages: a flood of them is none of our memory', async () => {
    await start({ messagesPerSecond: 5, clock: new VirtualClock() })
    const user = await open()
    for (let n = 0; n < 11; n += 1) user.socket.ping()
    expect(await user.closing()).toMatchObject({ code: 1008 })
    expect(user.pongs).toHaveLength(10)
  })

  it('questions beyond those that may wait are refused by name', async () => {
    await start({ maxQuestions: 2, responder: hanging })
    const user = await open()
    for (const id of ['running', 'a', 'b', 'c']) user.ask(id)
    await until(() => user.ended('c'), 'the last is refused')
    expect(user.heard.find(({ request_id }) => request_id === 'c')).toMatchObject({
      type: 'message',
      error: { code: 'QUEUE_FULL', message: 'too many questions are waiting' },
    })
  })
})
