// GuruConnection on made-up sockets and virtual time: what burned the users of others, and what the contract promises.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { nextSocket } from '../tests/support/fakeSockets.ts'
import { GuruConnection, type GuruConnectionOptions } from './GuruConnection.ts'
import { FakeWebSocket } from './testing/FakeWebSocket.ts'
import { VirtualClock } from './testing/VirtualClock.ts'

let clock: VirtualClock
const made: GuruConnection[] = []

beforeEach(() => {
  clock = new VirtualClock()
  FakeWebSocket.reset()
})
afterEach(() => {
  for (const connection of made.splice(0)) connection.dispose()
})

function make(options: Partial<GuruConnectionOptions> = {}): GuruConnection {
  const connection = new GuruConnection({
    url: 'ws://h/ws',
    WebSocket: FakeWebSocket,
    clock,
    random: () => 0,
    healthUrl: false,
    ...options,
  })
  connection.on('error', () => {})
  made.push(connection)
  return connection
}

async function makeOpen(options: Partial<GuruConnectionOptions> = {}): Promise<GuruConnection> {
  const connection = make(options)
  await clock.advance(0)
  FakeWebSocket.latest.accept()
  await clock.advance(0)
  return connection
}

const live = () => FakeWebSocket.all.filter(({ readyState }) => readyState <= 1).length
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable(),
    (error: unknown) => error,
  )

describe('connecting', () => {
  it('connects by itself, and listeners of the same turn miss nothing', async () => {
    const connection = make()
    const seen: string[] = []
    connection.on('connectionState', (state) => seen.push(state)).on('open', () => seen.push('open!'))
    await clock.advance(0)
    FakeWebSocket.latest.accept()
    expect(seen).toEqual(['connecting', 'open', 'open!'])
  })

  it('with autoConnect false it waits to be told', async () => {
    const connection = make({ autoConnect: false })
    await clock.advance(60_000)
    expect([FakeWebSocket.all.length, connection.connectionState]).toEqual([0, 'idle'])
    connection.connect()
    await clock.advance(0)
    expect(FakeWebSocket.all).toHaveLength(1)
  })

  it('asks url and token anew at every attempt; a failing function is a failed attempt', async () => {
    let asked = 0
    const errors: unknown[] = []
    const connection = make({
      url: async () => {
        asked += 1
        if (asked === 1) throw new Error('no ticket')
        return `ws://h/ws?ticket=${asked}`
      },
    })
    connection.on('error', (error) => errors.push(error))
    const socket = await nextSocket(clock)
    expect(socket.url).toBe('ws://h/ws?ticket=2')
    expect(errors[0]).toMatchObject({
      code: 'CONNECTION',
      cause: expect.objectContaining({ message: 'no ticket' }),
    })
  })

  it('a token never reaches the URL, and where it cannot be sent that is said', async () => {
    const warn = vi.fn()
    const logger = { debug() {}, info() {}, error() {}, warn }
    make({ token: 'secret', logger })
    await clock.advance(0)
    expect(FakeWebSocket.latest.url).toBe('ws://h/ws')
    expect(warn).toHaveBeenCalledTimes(1)
    expect(JSON.stringify(warn.mock.calls)).not.toContain('secret')
  })

  it('a handshake that fires only error, or error and close, or close twice, is one failed attempt', async () => {
    const connection = make()
    let closes = 0
    connection.on('close', () => {
      closes += 1
    })
    await clock.advance(0)
    FakeWebSocket.latest.onerror?.({ type: 'error' } as never)
    FakeWebSocket.latest.cut()
    FakeWebSocket.latest.cut()
    await clock.advance(0)
    expect(closes).toBe(1)
    expect(connection.connectionState).toBe('waiting')
  })
})

describe('one socket at a time', () => {
  it('connect(), the timer and close events together never make two', async () => {
    const connection = await makeOpen()
    FakeWebSocket.latest.cut()
    connection.connect()
    connection.connect()
    await clock.advance(60_000)
    expect(live()).toBeLessThanOrEqual(1)
  })

  it('events of a socket that was replaced are ignored', async () => {
    const connection = await makeOpen()
    const old = FakeWebSocket.latest
    old.cut()
    await nextSocket(clock)
    FakeWebSocket.latest.accept()
    const seen: unknown[] = []
    connection.on('message', (message) => seen.push(message))
    old.readyState = 1
    old.receive({ late: true })
    old.cut()
    await clock.advance(0)
    expect([seen, connection.connectionState]).toEqual([[], 'open'])
  })
})

describe('the queue', () => {
  it('a send in the open handler does not overtake what waits', async () => {
    const connection = make()
    connection.on('open', () => connection.send('new'))
    connection.send('first')
    connection.send('second')
    await clock.advance(0)
    FakeWebSocket.latest.accept()
    await clock.advance(0)
    expect(FakeWebSocket.latest.sent).toEqual(['first', 'second', 'new'])
  })

  it('receipts: stored resolves, delivered needs a session, cancel works while queued, unheard rejections harm nobody', async () => {
    const connection = make({ maxQueueMessages: 2 })
    const [first, second] = [connection.send('1'), connection.send('2')]
    await first.stored
    expect(await failure(first.delivered)).toMatchObject({ code: 'UNSUPPORTED' })
    expect([second.cancel(), second.cancel()]).toEqual([true, false])
    void connection.send('3').delivered
    await clock.advance(0)
    FakeWebSocket.latest.accept()
    await clock.advance(0)
    expect(FakeWebSocket.latest.sent).toEqual(['1', '3'])
    expect(first.cancel()).toBe(false)
  })

  it('each message that has to go is told, never lost in silence', async () => {
    const connection = make({ maxQueueMessages: 1, maxQueueAge: 500, url: () => new Promise(() => {}) })
    const dropped: unknown[] = []
    connection.on('dropped', ({ id, reason, data }) => dropped.push([id, reason, data]))
    const one = connection.send('one')
    const two = connection.send('two')
    await clock.advance(600)
    const three = connection.send('three')
    connection.close()
    await clock.advance(0)
    expect(dropped).toEqual([
      [one.id, 'overflow', 'one'],
      [two.id, 'expired', 'two'],
      [three.id, 'closed', 'three'],
    ])
    expect(() => connection.send('four')).toThrow(expect.objectContaining({ code: 'CONNECTION' }))
  })

  it('with overflow reject the sender is told', () => {
    const connection = make({ maxQueueMessages: 1, overflow: 'reject' })
    connection.send('one')
    expect(() => connection.send('two')).toThrow(expect.objectContaining({ code: 'QUEUE_FULL' }))
  })

  it('a message over which the server closes (1009) is set aside, and not sent again', async () => {
    const connection = make()
    const dropped: unknown[] = []
    connection.on('dropped', ({ reason, data }) => dropped.push([reason, data]))
    connection.send('x'.repeat(1000))
    await clock.advance(0)
    FakeWebSocket.latest.accept()
    FakeWebSocket.latest.cut(1009)
    const socket = await nextSocket(clock)
    socket.accept()
    await clock.advance(0)
    expect(dropped).toEqual([['refused', 'x'.repeat(1000)]])
    expect(socket.sent).toEqual([])
  })

  it('so is one that is sent on a line of any age; what was answered since is no suspect', async () => {
    const connection = await makeOpen({ stableAfter: 1000, pingInterval: 1e9 })
    const dropped: unknown[] = []
    connection.on('dropped', ({ reason, data }) => dropped.push([reason, data]))
    const line = FakeWebSocket.latest
    connection.send('y'.repeat(2000))
    await clock.advance(60_000)
    line.receive({ type: 'answer' })
    connection.send('x'.repeat(1000))
    connection.send('small')
    line.cut(1009)
    await clock.advance(0)
    expect(dropped).toEqual([['refused', 'x'.repeat(1000)]])
  })
})

describe('requests', () => {
  it('pair by request_id or id', async () => {
    const connection = await makeOpen()
    const one = connection.request({ q: 1 })
    const two = connection.request({ q: 2, id: 'mine' })
    const [first] = FakeWebSocket.latest.messages
    FakeWebSocket.latest.receive({ id: 'mine', a: 2 })
    FakeWebSocket.latest.receive({ request_id: first?.id, a: 1 })
    expect(await one).toMatchObject({ a: 1 })
    expect(await two).toMatchObject({ a: 2 })
  })

  it('that time out in the queue are withdrawn: they do not all fire on reconnection', async () => {
    const connection = make({ url: () => new Promise(() => {}), connectTimeout: 1_000_000 })
    const failures = [1, 2, 3].map((q) => failure(connection.request({ q }, { timeout: 100 })))
    await clock.advance(100)
    for (const error of await Promise.all(failures)) expect(error).toMatchObject({ code: 'TIMEOUT' })
    expect(connection.getStats().queuedMessages).toBe(0)
  })

  it('that the full queue refuses fail at once, also when asked for within an event', async () => {
    const connection = make({ maxQueueMessages: 0 })
    expect(await failure(connection.request({ q: 1 }))).toMatchObject({ code: 'DROPPED' })
    const within = new Promise((resolve) => {
      connection.once('connectionState', () => resolve(failure(connection.request({ q: 2 }))))
    })
    await clock.advance(0)
    FakeWebSocket.latest.cut()
    expect(await within).toMatchObject({ code: 'DROPPED' })
    await expect(connection.request({ q: 3 }, { timeout: 0 })).rejects.toThrow(/"timeout"/)
    await expect(connection.request({ q: 4 }, { signal: {} as AbortSignal })).rejects.toThrow(/"signal"/)
  })

  it('fail when the line breaks under them, and wait when they were only queued', async () => {
    const connection = await makeOpen()
    const sent = failure(connection.request({ q: 1 }))
    FakeWebSocket.latest.cut()
    expect(await sent).toMatchObject({ code: 'CONNECTION' })
    const queued = connection.request({ q: 2, id: 'q2' })
    const socket = await nextSocket(clock)
    socket.accept()
    await clock.advance(0)
    socket.receive({ request_id: 'q2', fine: true })
    expect(await queued).toMatchObject({ fine: true })
  })
})

describe('a signal that many requests share', () => {
  it('ends them all, and is left as it was found when they have ended', async () => {
    const connection = await makeOpen()
    const controller = new AbortController()
    const { signal } = controller
    const added = vi.spyOn(signal, 'addEventListener')
    const removed = vi.spyOn(signal, 'removeEventListener')
    const one = connection.request({ q: 1, id: 1 }, { signal })
    const others = [2, 3].map((id) => failure(connection.request({ q: id, id }, { signal })))
    FakeWebSocket.latest.receive({ id: 1 })
    await one
    expect(removed).not.toHaveBeenCalled()
    controller.abort('enough')
    for (const error of await Promise.all(others)) {
      expect(error).toMatchObject({ code: 'ABORTED', cause: 'enough' })
    }
    // The same listener each time is one listener.
    expect(new Set(added.mock.calls.map(([, listener]) => listener)).size).toBe(1)
    expect(removed).toHaveBeenCalledTimes(1)
    expect(clock.pending).toBe(1)
  })
})

describe('the log', () => {
  it('tells what happens, and nothing of what was said', async () => {
    const lines: unknown[][] = []
    const log = (...parts: unknown[]) => void lines.push(parts)
    const logger = { debug: log, info: log, warn: log, error: log }
    const connection = await makeOpen({ enableLogging: true, logger })
    FakeWebSocket.latest.cut(1006, 'gone')
    connection.send('private words')
    connection.close()
    await clock.advance(0)
    expect(lines.flat()).toEqual(
      expect.arrayContaining([
        '[GuruConnection] connectionState "open"',
        '[GuruConnection] close {"code":1006,"reason":"gone","wasClean":false}',
        '[GuruConnection] reconnecting {"attempt":1,"delay":2000}',
        '[GuruConnection] dropped {"id":"m1","reason":"closed"}',
      ]),
    )
    expect(JSON.stringify(lines)).not.toContain('private')
  })
})

describe('messages', () => {
  it('JSON is parsed, other text is text, bytes are an ArrayBuffer; a type is an event of its own unless it is ours', async () => {
    const connection = await makeOpen()
    const seen: unknown[] = []
    connection.on('message', (message) => seen.push(message))
    connection.on('news', (message: unknown) => seen.push(['news', message]))
    let opens = 0
    connection.on('open', () => {
      opens += 1
    })
    FakeWebSocket.latest.receive({ type: 'news', n: 1 })
    FakeWebSocket.latest.receive('plain text')
    FakeWebSocket.latest.receive(new Uint8Array([1, 2]).buffer)
    FakeWebSocket.latest.receive({ type: 'open' })
    expect(seen).toEqual([
      { type: 'news', n: 1 },
      ['news', { type: 'news', n: 1 }],
      'plain text',
      new Uint8Array([1, 2]).buffer,
      { type: 'open' },
    ])
    expect(opens).toBe(0)
  })

  it("a server's ping is answered, and neither ping nor pong reaches the app", async () => {
    const connection = await makeOpen()
    const seen: unknown[] = []
    connection.on('message', (message) => seen.push(message))
    FakeWebSocket.latest.receive({ type: 'ping', timestamp: 7 })
    FakeWebSocket.latest.receive({ type: 'heartbeat' })
    FakeWebSocket.latest.receive({ type: 'pong' })
    expect(FakeWebSocket.latest.messages).toEqual([{ type: 'pong', timestamp: 7 }, { type: 'pong' }])
    expect(seen).toEqual([])
  })

  it('a listener that throws harms neither the line nor the others, and is told as error', async () => {
    const connection = await makeOpen()
    const seen: unknown[] = []
    connection.on('message', () => {
      throw new Error('mine')
    })
    connection.on('message', (message) => seen.push(message))
    connection.on('error', (error) => seen.push(error.message))
    FakeWebSocket.latest.receive({ n: 1 })
    await clock.advance(0)
    expect(seen).toEqual([{ n: 1 }, 'mine'])
    expect(connection.connected).toBe(true)
  })

  it('a listener that rejects is told as error at once, not when something else happens', async () => {
    const connection = await makeOpen()
    const seen: string[] = []
    connection.on('error', (error) => seen.push(error.message))
    connection.on('message', async () => {
      throw new Error('later')
    })
    FakeWebSocket.latest.receive({ n: 1 })
    await clock.advance(0)
    expect(seen).toEqual(['later'])
  })

  it('handle() takes one handler; its rejection is told and counts as handled', async () => {
    const connection = await makeOpen()
    const errors: string[] = []
    connection.on('error', (error) => errors.push(error.message))
    const remove = connection.handle(async () => {
      throw new Error('could not')
    })
    expect(() => connection.handle(() => {})).toThrow(/a handler already/)
    FakeWebSocket.latest.receive({ n: 1 })
    await clock.advance(0)
    expect(errors).toEqual(['could not'])
    remove()
    connection.handle(() => {})
  })

  it('an unheard error does not crash anything', async () => {
    const connection = new GuruConnection({
      url: 'ws://h',
      WebSocket: FakeWebSocket,
      clock,
      healthUrl: false,
    })
    made.push(connection)
    await clock.advance(0)
    FakeWebSocket.latest.cut()
    await clock.advance(0)
    expect(connection.connectionState).toBe('waiting')
  })
})

describe('the heartbeat', () => {
  const pings = () => FakeWebSocket.latest.messages.filter(({ type }) => type === 'ping')

  it('pings in JSON where there are no protocol pings, in at most 50 bytes', async () => {
    await makeOpen({ pingInterval: 1000 })
    await clock.advance(1000)
    expect(pings()).toEqual([{ type: 'ping', timestamp: clock.wallNow() }])
    expect(String(FakeWebSocket.latest.sent[0]).length).toBeLessThanOrEqual(50)
  })

  it('kills for a missing pong only where one has been seen', async () => {
    const connection = await makeOpen({ pingInterval: 1000, pongTimeout: 500 })
    await clock.advance(5000)
    expect(connection.connected).toBe(true)
    FakeWebSocket.latest.receive({ type: 'pong' })
    const errors: unknown[] = []
    connection.on('error', (error) => errors.push(error))
    await clock.advance(1600)
    expect(connection.connected).toBe(false)
    expect(errors[0]).toMatchObject({ code: 'TIMEOUT', phase: 'idle' })
    expect(live()).toBeLessThanOrEqual(1)
  })

  it('after sleep it asks at once instead of believing in death', async () => {
    const connection = await makeOpen({ pingInterval: 1000, pongTimeout: 500 })
    FakeWebSocket.latest.receive({ type: 'pong' })
    const before = pings().length
    clock.sleep(3_600_000)
    await clock.advance(0)
    expect(pings().length).toBe(before + 1)
    expect(connection.connected).toBe(true)
    FakeWebSocket.latest.receive({ type: 'pong' })
    await clock.advance(600)
    expect(connection.connected).toBe(true)
  })

  it('a heartbeat of an earlier line never ends the next', async () => {
    const connection = await makeOpen({ pingInterval: 1000, pongTimeout: 500, reconnectDelay: 10 })
    FakeWebSocket.latest.receive({ type: 'pong' })
    await clock.advance(1000)
    FakeWebSocket.latest.cut()
    await nextSocket(clock)
    FakeWebSocket.latest.accept()
    await clock.advance(700)
    expect(connection.connected).toBe(true)
  })

  it('pingMessage changes it, and false is none', async () => {
    await makeOpen({ pingInterval: 1000, pingMessage: () => 'are you there?' })
    await clock.advance(1000)
    expect(FakeWebSocket.latest.sent).toEqual(['are you there?'])
    await makeOpen({ pingInterval: 1000, pingMessage: false })
    await clock.advance(5000)
    expect(FakeWebSocket.latest.sent).toEqual([])
  })
})

describe('status', () => {
  it('follows the conversation', async () => {
    const connection = make()
    const seen: string[] = []
    connection.on('statusChange', (status) => seen.push(status))
    expect(connection.status).toBe('waiting')
    await clock.advance(0)
    FakeWebSocket.latest.accept()
    connection.streamAudio(new Uint8Array(10))
    connection.send({ role: 'user', type: 'message', content: 'x' })
    FakeWebSocket.latest.receive({ role: 'assistant', content: 'x' })
    FakeWebSocket.latest.receive({ role: 'assistant', content: '', end: true })
    FakeWebSocket.latest.cut()
    await clock.advance(0)
    expect(seen).toEqual(['idle', 'listening', 'thinking', 'speaking', 'idle', 'waiting'])
  })

  it('audio is taken only while the line is open, and the oldest goes first when it is slow', async () => {
    const connection = await makeOpen()
    FakeWebSocket.latest.bufferedAmount = 1_000_000
    for (let chunk = 0; chunk < 50; chunk += 1) expect(connection.streamAudio(new Uint8Array(640))).toBe(true)
    expect(FakeWebSocket.latest.sent).toEqual([])
    expect(connection.getStats().droppedAudio).toBeGreaterThan(40)
    FakeWebSocket.latest.cut()
    expect(connection.streamAudio(new Uint8Array(640))).toBe(false)
    expect(() => connection.streamAudio('sound' as never)).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST' }),
    )
  })
})

describe('options', () => {
  it.each([
    [{ url: undefined }, /option "url" must be a URL or a function that returns one, got undefined/],
    [
      { reconnectDelay: -1 },
      /option "reconnectDelay" must be a number of milliseconds from 0 to 2147483647, got -1/,
    ],
    [{ jitter: 2 }, /"jitter" must be a number from 0 to 1, got 2/],
    [{ overflow: 'block' }, /"overflow" must be "drop-oldest" or "drop-newest" or "reject", got "block"/],
    [{ pinginterval: 5 }, /"pinginterval" must be spelt "pingInterval"/],
    [{ token: 5 }, /"token"/],
  ])('%j is refused', (options, message) => {
    expect(() => make(options as Partial<GuruConnectionOptions>)).toThrow(message)
  })

  it('fields are checked when they are changed, and a wrong value changes nothing', async () => {
    const connection = await makeOpen({ pingInterval: 1000 })
    expect(() => {
      connection.pingInterval = -1
    }).toThrow(/"pingInterval"/)
    expect(connection.pingInterval).toBe(1000)
    expect(() => {
      connection.url = 'ftp://h'
    }).toThrow(/"url"/)
    expect(connection.url).toBe('ws://h/ws')
    connection.pingInterval = 100
    await clock.advance(100)
    expect(FakeWebSocket.latest.messages).toMatchObject([{ type: 'ping' }])
    connection.url = 'ws://other/ws'
    FakeWebSocket.latest.cut()
    expect((await nextSocket(clock)).url).toBe('ws://other/ws')
  })
})

describe('the end', () => {
  it('close() says goodbye, stays down until connect(), and dispose() leaves nothing', async () => {
    const connection = await makeOpen()
    connection.close(1000, 'bye')
    expect(connection.connectionState).toBe('closing')
    await clock.advance(0)
    expect(connection.connectionState).toBe('closed')
    await clock.advance(60_000)
    expect(FakeWebSocket.all).toHaveLength(1)
    connection.connect()
    await clock.advance(0)
    FakeWebSocket.latest.accept()
    expect(connection.connected).toBe(true)
    connection.dispose()
    connection.dispose()
    await clock.advance(0)
    expect([clock.pending, live(), connection.eventNames()]).toEqual([0, 0, []])
    expect(() => connection.send('x')).toThrow(expect.objectContaining({ code: 'DISPOSED' }))
    expect(() => connection.connect()).toThrow(expect.objectContaining({ code: 'DISPOSED' }))
  })

  it('a loop over messages ends with the connection', async () => {
    const connection = await makeOpen()
    const loop = (async () => {
      const seen: unknown[] = []
      for await (const message of connection) seen.push(message)
      return seen
    })()
    FakeWebSocket.latest.receive({ n: 1 })
    connection.dispose()
    expect(await loop).toEqual([{ n: 1 }])
  })
})
