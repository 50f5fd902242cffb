// Sessions on the client, on made-up sockets and virtual time: the test plays the server, frame by frame.

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { nextSocket } from '../../tests/support/fakeSockets.ts'
import { GuruConnection, type GuruConnectionOptions, type MessageContext } from '../GuruConnection.ts'
import { FakeWebSocket } from '../testing/FakeWebSocket.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'

let clock: VirtualClock
const made: GuruConnection[] = []
const heard: [string, unknown][] = []
let host = 0

// Loading it takes real time, which a virtual clock does not wait for.
beforeAll(() => import('./sessionLayer.ts'))
beforeEach(() => {
  clock = new VirtualClock()
  FakeWebSocket.reset()
  heard.length = 0
  // What kind of line a place speaks is remembered, so that every test goes somewhere else.
  host += 1
})
afterEach(() => {
  for (const connection of made.splice(0)) connection.dispose()
})

function make(options: Partial<GuruConnectionOptions> = {}): GuruConnection {
  const connection = new GuruConnection({
    url: `ws://h${host}/ws`,
    session: 'required',
    WebSocket: FakeWebSocket,
    clock,
    random: () => 0,
    healthUrl: false,
    ...options,
  })
  for (const name of [
    'sessionLost',
    'dropped',
    'delivered',
    'flush',
    'drain',
    'error',
    'connectionState',
  ] as const) {
    connection.on(name, ((...args: unknown[]) => heard.push([name, args[0]])) as () => void)
  }
  made.push(connection)
  return connection
}

const controls = (line: FakeWebSocket): Record<string, unknown>[] =>
  line.sent.flatMap((data) => (typeof data === 'string' && data.startsWith('{') ? [JSON.parse(data)] : []))
const told = (name: string) => heard.filter(([known]) => known === name).map(([, what]) => what)

const OPENED = {
  t: 'opened',
  rx: 0,
  ttl: 60_000,
  maxMessages: 100,
  maxBytes: 10_000,
  maxFrame: 1000,
  ping: 0,
}

const socket = () => nextSocket(clock)

async function begin(connection: GuruConnection, limits = {}): Promise<FakeWebSocket> {
  const line = FakeWebSocket.all.length > 0 ? FakeWebSocket.latest : await socket()
  line.accept('guru.v1')
  line.receive({ ...OPENED, sid: 's', key: 'secret', ...limits })
  await clock.advance(0)
  expect(connection.connectionState).toBe('open')
  return line
}

async function resume(rx: number): Promise<FakeWebSocket> {
  const line = await socket()
  line.accept('guru.v1')
  line.receive({ ...OPENED, rx })
  await clock.advance(0)
  return line
}

/** How a promise stands now. */
async function fate(promise: Promise<unknown>): Promise<string> {
  const settled = promise.then(
    () => 'resolved',
    (error: { code?: string }) => error.code ?? 'rejected',
  )
  return Promise.race([settled, clock.advance(0).then(() => 'pending')])
}

describe('what follows the end of a line is decided once', () => {
  it('also when shouldReconnect throws: the second protocol error is the second, not the fourth', async () => {
    const connection = make({
      shouldReconnect: () => {
        throw new Error('the app failed')
      },
    })
    let line = await begin(connection)
    const errors = () => told('error').map((error) => (error as Error).message)
    for (const left of [1, 0]) {
      line.cut(4400)
      expect(connection.connectionState).toBe('waiting')
      expect(errors()).toEqual(new Array(2 - left).fill('the app failed'))
      expect(told('sessionLost')).toHaveLength(1 - left)
      if (left > 0) {
        line = await resume(0)
      }
    }
  })
})

describe('opening', () => {
  it('offers guru.v1, is open once the session has begun, and keeps what was sent before in order', async () => {
    const connection = make()
    connection.send('one')
    connection.send({ two: 2 })
    const line = await socket()
    expect(line.protocols).toEqual(['guru.v1'])
    line.accept('guru.v1')
    expect(line.sent).toEqual(['{"t":"open"}'])
    expect(connection.connectionState).toBe('connecting')
    line.receive({ ...OPENED, sid: 's', key: 'secret' })
    expect(connection.connectionState).toBe('open')
    expect(line.sent.slice(1)).toEqual(['1:one', '2:{"two":2}'])
  })

  it('sends the token in the first frame where the upgrade cannot carry it, and logs it nowhere', async () => {
    const lines: unknown[] = []
    const log = (...args: unknown[]) => void lines.push(args)
    make({
      token: async () => 'ticket-7',
      enableLogging: true,
      logger: { debug: log, info: log, warn: log, error: log },
    })
    const line = await socket()
    line.accept('guru.v1')
    expect(line.sent).toEqual(['{"t":"open","auth":"ticket-7"}'])
    expect(JSON.stringify(lines)).not.toContain('ticket-7')
  })

  it('a server that never answers "open" is given up after connectTimeout', async () => {
    const connection = make({ connectTimeout: 1000 })
    ;(await socket()).accept('guru.v1')
    await clock.advance(1000)
    expect(connection.connectionState).toBe('waiting')
  })

  it('says so when a server selects no subprotocol although a session is required', async () => {
    const connection = make()
    ;(await socket()).accept('')
    await clock.advance(0)
    expect(told('error')).toMatchObject([{ code: 'PROTOCOL' }])
    expect(connection.connected).toBe(false)
  })

  it('auto: offers, then falls back to a plain line, and remembers what the place speaks', async () => {
    const connection = make({ session: 'auto' })
    connection.send('plain text')
    const first = await socket()
    expect(first.protocols).toEqual(['guru.v1'])
    first.cut()
    // Nobody says why that failed: is it down, or does it know no sessions? A plain line tells whether anybody is there.
    const second = await socket()
    expect(second.protocols).toEqual([])
    second.accept()
    expect(second.sent).toEqual([])
    const third = await socket()
    expect(third.protocols).toEqual(['guru.v1'])
    third.cut()
    const fourth = await socket()
    expect(fourth.protocols).toEqual([])
    fourth.accept()
    expect(fourth.sent).toEqual(['plain text'])
    const receipt = connection.send('more')
    expect(fourth.sent).toEqual(['plain text', 'more'])
    expect(await fate(receipt.delivered)).toBe('UNSUPPORTED')
    make({ session: 'auto' })
    expect((await socket()).protocols).toEqual([])
  })

  it('auto: is never plain again once a session has opened', async () => {
    const connection = make({ session: 'auto' })
    const line = await begin(connection)
    line.cut()
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const next = await socket()
      expect(next.protocols).toEqual(['guru.v1'])
      next.cut()
    }
  })
})

describe('sending', () => {
  it('a receipt is delivered when an ack covers it', async () => {
    const connection = make()
    const early = connection.send('early')
    const delivered = early.delivered
    const line = await begin(connection)
    const late = connection.send('late')
    expect(await fate(late.stored)).toBe('resolved')
    expect(await fate(delivered)).toBe('pending')
    line.receive({ t: 'ack', rx: 1 })
    expect(await fate(delivered)).toBe('resolved')
    expect(await fate(late.delivered)).toBe('pending')
    line.receive({ t: 'ack', rx: 2 })
    expect(await fate(late.delivered)).toBe('resolved')
    expect(told('delivered')).toEqual([{ id: early.id }, { id: late.id }])
    // Asked late, it still knows.
    expect(await fate(early.delivered)).toBe('resolved')
  })

  it('sends after a break exactly what was not acknowledged, before anything new', async () => {
    const connection = make()
    let line = await begin(connection)
    for (const text of ['a', 'b', 'c']) connection.send(text)
    line.receive({ t: 'ack', rx: 1 })
    line.cut()
    connection.send('d')
    line = await resume(2)
    expect(line.sent[0]).toBe('{"t":"resume","sid":"s","key":"secret","epoch":1,"rx":0,"tx":3}')
    expect(line.sent.slice(1)).toEqual(['2:b', '3:c', '4:d'])
  })

  it('priority goes first and ttl drops, but only among what has no number', async () => {
    const connection = make()
    const old = connection.send('stale', { ttl: 1000 })
    connection.send('low')
    connection.send('high', { priority: 1 })
    const line = await socket()
    await clock.advance(1000)
    line.accept('guru.v1')
    line.receive({ ...OPENED, sid: 's', key: 'k' })
    expect(line.sent.slice(1)).toEqual(['1:high', '2:low'])
    expect(told('dropped')).toEqual([{ id: old.id, reason: 'expired', data: 'stale' }])
    expect(await fate(old.delivered)).toBe('DROPPED')
  })

  it('cancel() takes back what has no number, nothing else', async () => {
    const connection = make()
    const waiting = connection.send('waiting')
    expect(waiting.cancel()).toBe(true)
    const line = await begin(connection)
    const sent = connection.send('sent')
    expect(sent.cancel()).toBe(false)
    expect(line.sent.slice(1)).toEqual(['1:sent'])
    expect(await fate(waiting.delivered)).toBe('DROPPED')
  })

  it('keeps to the window; ready() waits for room in it', async () => {
    const connection = make()
    const line = await begin(connection, { maxMessages: 2 })
    for (const text of ['a', 'b', 'c']) connection.send(text)
    expect(line.sent.slice(1)).toEqual(['1:a', '2:b'])
    const ready = connection.ready()
    expect(await fate(ready)).toBe('pending')
    line.receive({ t: 'ack', rx: 1 })
    expect(line.sent.at(-1)).toBe('3:c')
    expect(await fate(ready)).toBe('resolved')
    expect(connection.getStats()).toMatchObject({ queuedMessages: 0, unacknowledgedMessages: 2 })
  })

  it('refuses what the server would not take: too large, empty', async () => {
    const connection = make()
    await begin(connection)
    expect(() => connection.send('x'.repeat(1001))).toThrow(/1000 are taken at most/)
    expect(() => connection.send('')).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }))
  })

  it('volatile messages have no number and are gone without a line', async () => {
    const connection = make()
    expect(await fate(connection.send('now', { volatile: true }).stored)).toBe('DROPPED')
    const line = await begin(connection)
    expect(await fate(connection.send('now', { volatile: true }).stored)).toBe('resolved')
    connection.send(new Uint8Array([7]), { volatile: true, stream: 3 })
    expect(line.sent.slice(1)).toEqual([':now', new Uint8Array([0, 3, 7])])
    expect(connection.streamAudio(new Uint8Array([1]))).toBe(true)
    expect(line.sent.at(-1)).toEqual(new Uint8Array([0, 0, 1]))
  })

  it('binary messages are copied when they are sent, and carry their stream', async () => {
    const connection = make()
    const bytes = new Uint8Array([1, 2])
    connection.send(bytes, { stream: 9 })
    bytes.fill(0)
    const line = await begin(connection)
    expect(line.sent[1]).toEqual(new Uint8Array([1, 9, 0, 0, 0, 1, 1, 2]))
  })

  it('a request survives a break and ends with its reply', async () => {
    const connection = make()
    let line = await begin(connection)
    const reply = connection.request({ id: 'q', ask: true })
    line.cut()
    line = await resume(0)
    line.receive('1:{"request_id":"q","answer":42}')
    expect(await reply).toEqual({ request_id: 'q', answer: 42 })
  })
})

describe('receiving', () => {
  it('acknowledges what handlers have settled, and tells each the id of its message', async () => {
    const connection = make()
    const contexts: MessageContext[] = []
    const release: (() => void)[] = []
    connection.handle((_, context) => {
      contexts.push(context)
      return new Promise<void>((resolve) => release.push(resolve))
    })
    const line = await begin(connection)
    line.receive('1:"a"')
    line.receive('2:"b"')
    expect(contexts.map(({ id, redelivered }) => [id, redelivered])).toEqual([
      ['s/1', false],
      ['s/2', false],
    ])
    release[1]?.()
    await clock.advance(500)
    expect(controls(line).filter(({ t }) => t === 'ack')).toEqual([])
    release[0]?.()
    await clock.advance(500)
    expect(controls(line).filter(({ t }) => t === 'ack')).toEqual([{ t: 'ack', rx: 2 }])
  })

  it('a handler that fails is reported, and its message counts as handled', async () => {
    const connection = make()
    connection.handle(async () => {
      throw new Error('no luck')
    })
    const line = await begin(connection)
    line.receive('1:x')
    await clock.advance(500)
    expect(told('error')).toMatchObject([{ message: 'no luck' }])
    expect(controls(line).at(-1)).toEqual({ t: 'ack', rx: 1 })
  })

  it('a handler that hangs is given up after handlerTimeout', async () => {
    const connection = make({ handlerTimeout: 1000 })
    connection.handle(() => new Promise(() => {}))
    const line = await begin(connection)
    line.receive('1:x')
    await clock.advance(1500)
    expect(told('error')).toMatchObject([{ code: 'TIMEOUT' }])
    expect(controls(line).at(-1)).toEqual({ t: 'ack', rx: 1 })
  })

  it('drops what it has taken before, and answers a gap with 4400', async () => {
    const connection = make()
    const got: unknown[] = []
    connection.on('message', (message) => got.push(message))
    let line = await begin(connection)
    line.receive('1:"a"')
    line.cut()
    line = await resume(0)
    line.receive('1:"a"')
    line.receive('2:"b"')
    line.receive('4:"d"')
    expect(got).toEqual(['a', 'b'])
    expect(told('error')).toMatchObject([{ code: 'PROTOCOL' }])
    expect(connection.connectionState).toBe('waiting')
  })

  it('listeners only observe: a message without a handler is handled when it is taken', async () => {
    const connection = make()
    connection.on('message', () => new Promise(() => {}))
    const line = await begin(connection)
    line.receive('1:x')
    await clock.advance(200)
    expect(controls(line).at(-1)).toEqual({ t: 'ack', rx: 1 })
  })

  it('interrupt() has a stream dropped until the server has flushed it; a flush of the server is an event', async () => {
    const connection = make()
    const got: unknown[] = []
    connection.on('message', (message) => got.push(message))
    const line = await begin(connection)
    expect(connection.interrupt(4)).toBe(true)
    expect(controls(line).at(-1)).toEqual({ t: 'flush', stream: 4 })
    line.receive(new Uint8Array([0, 4, 1]).buffer)
    expect(got).toEqual([])
    line.receive({ t: 'flushed', stream: 4 })
    line.receive(new Uint8Array([0, 4, 2]).buffer)
    expect(got).toEqual([new Uint8Array([2]).buffer])
    line.receive({ t: 'flush', stream: 1 })
    expect(told('flush')).toEqual([{ stream: 1 }])
    expect(controls(line).at(-1)).toEqual({ t: 'flushed', stream: 1 })
  })
})

describe('the heartbeat', () => {
  it('is as long as the way of each ping and its pong, whatever else comes and however many are on their way', async () => {
    const connection = make({ pingInterval: 2000 })
    const line = await begin(connection)
    await clock.advance(4000)
    const [first, second] = controls(line).filter(({ t }) => t === 'ping')
    expect(second?.at).toBe((first?.at as number) + 2000)
    line.receive('1:"a piece"')
    expect(connection.getStats().latency).toBeUndefined()
    await clock.advance(500)
    line.receive({ ...first, t: 'pong' })
    expect(connection.getStats().latency).toBe(2500)
    await clock.advance(1900)
    line.receive({ ...second, t: 'pong' })
    expect(connection.getStats().latency).toBe(2400)
    line.receive({ t: 'pong', at: clock.now() + 1 })
    expect(connection.getStats().latency).toBe(2400)
  })
})

describe('the end of a session', () => {
  it('4410: reports what is in doubt, keeps the rest, and opens anew at once', async () => {
    const connection = make()
    let line = await begin(connection)
    const doubtful = connection.send('doubtful')
    const delivered = doubtful.delivered
    line.cut()
    const kept = connection.send('kept')
    line = await socket()
    line.accept('guru.v1')
    const before = clock.now()
    line.cut(4410, 'expired')
    line = await socket()
    expect(clock.now() - before).toBeLessThan(100)
    expect(told('sessionLost')).toEqual([
      { reason: 'gone', inDoubt: [{ id: doubtful.id, data: 'doubtful' }], resent: false },
    ])
    expect(await fate(delivered)).toBe('SESSION_LOST')
    line.accept('guru.v1')
    line.receive({ ...OPENED, sid: 't', key: 'k' })
    expect(line.sent).toEqual(['{"t":"open"}', '1:kept'])
    expect(await fate(kept.delivered)).toBe('pending')
  })

  it('4410 with onSessionLost "resend": what is in doubt goes first in the next session', async () => {
    const connection = make({ onSessionLost: 'resend' })
    let line = await begin(connection)
    const receipt = connection.send('doubtful')
    line.cut(4410, 'gone')
    connection.send('later')
    line = await socket()
    line.accept('guru.v1')
    line.receive({ ...OPENED, sid: 't', key: 'k' })
    expect(line.sent.slice(1)).toEqual(['1:doubtful', '2:later'])
    line.receive({ t: 'ack', rx: 1 })
    expect(await fate(receipt.delivered)).toBe('resolved')
  })

  it('4409 on the current line: stops, and says that somebody else has it', async () => {
    const connection = make()
    const line = await begin(connection)
    line.cut(4409, 'a newer epoch owns the session')
    await clock.advance(120_000)
    expect(connection.connectionState).toBe('failed')
    expect(connection.status).toBe('error')
    expect(told('error')).toMatchObject([{ code: 'SESSION_LOST', message: expect.stringContaining('4409') }])
    expect(FakeWebSocket.all).toHaveLength(1)
  })

  it.each([
    [undefined, 'closed', ['CLOSED_BY_SERVER']],
    [() => false, 'closed', []],
    [() => true, 'connecting', []],
  ])(
    'an unasked 1000 with shouldReconnect %s; the session goes on',
    async (shouldReconnect, state, codes) => {
      const connection = make({ shouldReconnect })
      const line = await begin(connection)
      line.cut(1000, 'done', true)
      await clock.advance(5000)
      expect(connection.connectionState).toBe(state)
      expect(told('error')).toMatchObject(codes.map((code) => ({ code })))
      if (state === 'closed') {
        expect(FakeWebSocket.all).toHaveLength(1)
        connection.connect()
        await clock.advance(0)
      }
      expect(FakeWebSocket.all).toHaveLength(2)
      FakeWebSocket.latest.accept('guru.v1')
      expect(controls(FakeWebSocket.latest)).toMatchObject([{ t: 'resume', epoch: 1 }])
    },
  )

  it.each([
    ['a text', `1:${'x'.repeat(1001)}`],
    ['a text of long characters', `1:${'é'.repeat(501)}`],
    ['bytes', new Uint8Array([1, 0, 0, 0, 0, 1, ...new Uint8Array(1001)]).buffer],
  ])('4413 for what is above maxFrame: %s', async (_name, frame) => {
    const connection = make()
    const closes: number[] = []
    const messages: unknown[] = []
    connection.on('close', ({ code }) => closes.push(code)).on('message', (message) => messages.push(message))
    const line = await begin(connection)
    line.receive(frame)
    await clock.advance(0)
    expect(closes).toEqual([4413])
    expect(messages).toEqual([])
    const next = await socket()
    next.accept('guru.v1')
    next.receive(OPENED)
    next.receive('1:')
    next.receive(`2:${'x'.repeat(1000)}`)
    expect(connection.connected).toBe(true)
    expect(messages).toEqual(['x'.repeat(1000)])
  })

  it('4401: asks for the token once more, at once, then stops', async () => {
    const tokens = ['old', 'new']
    const connection = make({ token: () => tokens.shift() })
    const first = await socket()
    first.accept('guru.v1')
    first.cut(4401)
    const second = await socket()
    second.accept('guru.v1')
    expect(second.sent).toEqual(['{"t":"open","auth":"new"}'])
    second.cut(4401)
    await clock.advance(60_000)
    expect(connection.connectionState).toBe('failed')
    expect(FakeWebSocket.all).toHaveLength(2)
  })

  it('4429: comes back after the longest backoff', async () => {
    const connection = make()
    const line = await begin(connection)
    line.cut(4429)
    await clock.advance(29_900)
    expect(FakeWebSocket.all).toHaveLength(1)
    await clock.advance(200)
    expect(FakeWebSocket.all).toHaveLength(2)
    expect(connection.connectionState).toBe('connecting')
  })

  it('1009: the largest message is set aside and reported, the session goes on without it', async () => {
    const connection = make()
    let line = await begin(connection)
    connection.send('a')
    const large = connection.send('the large one')
    line.cut(1009)
    expect(told('dropped')).toEqual([{ id: large.id, reason: 'refused', data: 'the large one' }])
    line = await resume(0)
    expect(line.sent.slice(1)).toEqual(['1:a', '2:'])
  })

  it('goaway: leaves in time and resumes, which is no failed attempt', async () => {
    const connection = make()
    let line = await begin(connection)
    line.receive({ t: 'goaway', after: 3000, why: 'restart' })
    connection.send('until then all goes on')
    await clock.advance(2950)
    expect(connection.connected).toBe(true)
    line = await resume(1)
    expect(controls(line)[0]).toMatchObject({ t: 'resume', epoch: 1 })
  })

  it('goaway at once, on every line: comes back with backoff, and goes on to', async () => {
    const connection = make({ reconnectDelay: 1000, jitter: 0, shouldReconnect: ({ code }) => code !== 1000 })
    let line = await begin(connection)
    const delays: number[] = []
    for (let epoch = 1; epoch <= 4; epoch += 1) {
      const before = clock.now()
      line.receive({ t: 'goaway', after: 0, why: 'restart' })
      line = await resume(0)
      delays.push(Math.round((clock.now() - before) / 1000))
    }
    expect(delays).toEqual([0, 2, 4, 8])
  })

  it('a line that breaks after a second goaway is not back before the time that was asked for', async () => {
    const connection = make({ reconnectDelay: 100, jitter: 0 })
    let line = await begin(connection)
    line.receive({ t: 'goaway', after: 0, why: 'restart' })
    line = await resume(0)
    const before = clock.now()
    line.receive({ t: 'goaway', after: 3000, why: 'restart' })
    line.cut()
    line = await resume(0)
    expect(clock.now() - before).toBeGreaterThanOrEqual(3000)
  })

  it('close(): says so to the server and waits for its word; what is unheard by then is in doubt', async () => {
    const connection = make()
    const line = await begin(connection)
    const heardOf = connection.send('a')
    const unheard = connection.send('b')
    connection.close()
    expect(controls(line).at(-1)).toEqual({ t: 'close' })
    expect(connection.connectionState).toBe('closing')
    line.receive({ t: 'ack', rx: 1 })
    line.cut(1000, '', true)
    await clock.advance(0)
    expect(connection.connectionState).toBe('closed')
    expect(await fate(heardOf.delivered)).toBe('resolved')
    expect(told('sessionLost')).toEqual([
      { reason: 'stopped', inDoubt: [{ id: unheard.id, data: 'b' }], resent: false },
    ])
  })

  it('dispose(): frees the session, reports what is in doubt, leaves no timer', async () => {
    const connection = make()
    const line = await begin(connection)
    const receipt = connection.send('a')
    const { delivered } = receipt
    connection.dispose()
    expect(controls(line).at(-1)).toEqual({ t: 'close' })
    expect(told('sessionLost')).toMatchObject([{ reason: 'stopped' }])
    expect(await fate(delivered)).toBe('SESSION_LOST')
    expect(clock.pending).toBe(0)
  })

  it('a rejection that nobody hears never ends the process', async () => {
    const connection = make()
    const line = await begin(connection)
    void connection.send('a').delivered
    void connection.send('b').stored
    line.cut(4410)
    connection.dispose()
    await clock.advance(0)
  })
})
