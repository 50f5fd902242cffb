import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { nextSocket } from '../tests/support/fakeSockets.ts'
import { RecordingTransport } from '../tests/support/recordingTransport.ts'
import { Endpoint, type EndpointOptions } from './Endpoint.ts'
import { FakeWebSocket } from './testing/FakeWebSocket.ts'
import { VirtualClock } from './testing/VirtualClock.ts'

let clock: VirtualClock
const endpoints: Endpoint[] = []

beforeEach(() => {
  clock = new VirtualClock()
  FakeWebSocket.reset()
})
afterEach(() => {
  for (const endpoint of endpoints.splice(0)) endpoint.dispose()
})

function make(options: Partial<EndpointOptions> = {}): Endpoint {
  const endpoint = new Endpoint({
    WS_URL: 'ws://localhost/ws',
    API_BASE_URL: 'http://localhost',
    ...options,
    connection: { WebSocket: FakeWebSocket, clock, random: () => 0, healthUrl: false, ...options.connection },
    api: { clock, ...options.api },
  })
  endpoint.on('error', () => {})
  endpoints.push(endpoint)
  return endpoint
}

async function makeOpen(options: Partial<EndpointOptions> = {}): Promise<Endpoint> {
  const endpoint = make(options)
  await clock.advance(0)
  FakeWebSocket.latest.accept()
  await clock.advance(0)
  return endpoint
}

const say = (id: string, content: string, more: object = {}) =>
  FakeWebSocket.latest.receive({ role: 'assistant', type: 'message', request_id: id, content, ...more })
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable(),
    (error: unknown) => error,
  )

describe('ask', () => {
  it('sends the question as the contract has it, and gives the answer piece by piece', async () => {
    const endpoint = await makeOpen()
    const reply = endpoint.ask('What?')
    expect(FakeWebSocket.latest.messages).toEqual([
      { role: 'user', type: 'message', content: 'What?', id: reply.id, timestamp: clock.wallNow() },
    ])
    say(reply.id, 'one ', { start: true })
    say('another', 'not this')
    say(reply.id, 'two')
    say(reply.id, '', { end: true })
    const pieces: string[] = []
    for await (const piece of reply) pieces.push(piece)
    expect(pieces).toEqual(['one ', 'two'])
    expect(await reply.text()).toBe('one two')
  })

  it('leaving the loop tells the assistant to stop; what comes late is nobody’s', async () => {
    const endpoint = await makeOpen()
    const reply = endpoint.ask('What?')
    say(reply.id, 'one')
    for await (const piece of reply) {
      expect(piece).toBe('one')
      break
    }
    expect(FakeWebSocket.latest.messages.at(-1)).toEqual({ type: 'stop', id: reply.id })
    say(reply.id, 'late')
    expect(await reply.text()).toBe('one')
  })

  it('a question that still waits is taken out of the queue when it is stopped', async () => {
    const endpoint = make()
    const reply = endpoint.ask('What?')
    expect(endpoint.getStats().websocket.queuedMessages).toBe(1)
    reply.stop()
    expect(endpoint.getStats().websocket.queuedMessages).toBe(0)
    expect(await reply.text()).toBe('')
  })

  it('a question asked while the line is down survives any number of failed attempts', async () => {
    const endpoint = make()
    const reply = endpoint.ask('What?')
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await nextSocket(clock)
      FakeWebSocket.latest.cut()
    }
    await nextSocket(clock)
    FakeWebSocket.latest.accept()
    await clock.advance(0)
    expect(FakeWebSocket.latest.messages.map(({ id }) => id)).toEqual([reply.id])
    say(reply.id, 'still here', { end: true })
    expect(await reply.text()).toBe('still here')
  })

  it('fails when the line is lost in mid-answer, and does not ask again by itself', async () => {
    const endpoint = await makeOpen()
    const reply = endpoint.ask('What?')
    say(reply.id, 'one')
    FakeWebSocket.latest.cut(1012, 'restarting')
    expect(await failure(reply.text())).toMatchObject({
      code: 'CONNECTION',
      message: expect.stringMatching(/lost before the reply ended.*: restarting$/),
    })
    await nextSocket(clock)
    FakeWebSocket.latest.accept()
    await clock.advance(0)
    expect(FakeWebSocket.latest.messages).toEqual([])
  })

  it('fails when the assistant fails, and when the backend refuses the question', async () => {
    const endpoint = await makeOpen()
    const half = endpoint.ask('What?')
    say(half.id, 'half an ')
    const fault = { code: 'UPSTREAM', message: 'the model is overloaded' }
    say(half.id, '', { end: true, error: fault })
    expect(await failure(half.text())).toMatchObject({
      name: 'ReplyError',
      code: 'REMOTE',
      requestId: half.id,
      text: 'half an ',
      message: expect.stringContaining(fault.message),
      remote: fault,
    })
    for (const told of [true, 1, 'no', {}, { code: 7, message: null }]) {
      const reply = endpoint.ask('What?')
      say(reply.id, '', { end: true, error: told })
      expect(await failure(reply.text())).toMatchObject({ code: 'REMOTE', remote: { code: 'FAILED' } })
    }
    const refused = endpoint.ask('What?')
    FakeWebSocket.latest.receive({
      type: 'error',
      request_id: refused.id,
      end: true,
      message: 'too many questions',
    })
    expect(await failure(refused.text())).toMatchObject({
      code: 'REMOTE',
      message: expect.stringContaining('too many questions'),
      text: '',
      remote: { code: 'BAD_REQUEST', message: 'too many questions' },
    })
  })

  it('fails when nothing is heard for its timeout, and counts from the last piece', async () => {
    const endpoint = await makeOpen({ connection: { pingInterval: Infinity } })
    const reply = endpoint.ask('What?', { timeout: 1000 })
    const failed = failure(reply.text())
    await clock.advance(900)
    say(reply.id, 'one')
    await clock.advance(900)
    say(reply.id, 'two')
    await clock.advance(999)
    expect(endpoint.getStats().websocket.connected).toBe(true)
    await clock.advance(1)
    expect(await failed).toMatchObject({ code: 'TIMEOUT', phase: 'idle', timeoutMs: 1000 })
    expect(FakeWebSocket.latest.messages.at(-1)).toEqual({ type: 'stop', id: reply.id })
  })

  it('ends with the signal of the caller', async () => {
    const endpoint = await makeOpen()
    const controller = new AbortController()
    const reply = endpoint.ask('What?', { signal: controller.signal })
    controller.abort('enough')
    expect(await failure(reply.text())).toMatchObject({ name: 'AbortError', cause: 'enough' })
    expect(FakeWebSocket.latest.messages.at(-1)).toEqual({ type: 'stop', id: reply.id })
    const before = FakeWebSocket.latest.sent.length
    expect(await failure(endpoint.ask('What?', { signal: controller.signal }).text())).toMatchObject({
      name: 'AbortError',
    })
    expect(FakeWebSocket.latest.sent).toHaveLength(before)
  })

  it('fails when the queue had to drop it, when the line is given up, and when the endpoint is disposed of', async () => {
    const small = make({ connection: { maxQueueMessages: 1 } })
    const dropped = failure(small.ask('one').text())
    small.ask('two')
    expect(await dropped).toMatchObject({ code: 'DROPPED' })

    const givenUp = make({ connection: { maxReconnectAttempts: 0 } })
    const lost = failure(givenUp.ask('What?').text())
    await clock.advance(0)
    FakeWebSocket.latest.cut(4000, 'not today')
    expect(await lost).toMatchObject({
      code: 'CONNECTION',
      message: 'the line was given up before the question was sent: not today',
    })
    expect(givenUp.getStats().websocket.queuedMessages).toBe(0)

    const disposed = make()
    const ended = failure(disposed.ask('What?').text())
    disposed.dispose()
    expect(await ended).toMatchObject({ code: 'DISPOSED' })
    expect(() => disposed.ask('What?')).toThrow(expect.objectContaining({ code: 'DISPOSED' }))
  })

  it('waits for the line beyond its timeout, and is taken back when the caller aborts', async () => {
    const endpoint = make()
    const controller = new AbortController()
    const waiting = failure(endpoint.ask('What?', { timeout: 1000, signal: controller.signal }).text())
    await clock.advance(5000)
    expect(endpoint.getStats().websocket.queuedMessages).toBe(1)
    controller.abort()
    expect(await waiting).toMatchObject({ code: 'ABORTED' })
    expect(endpoint.getStats().websocket.queuedMessages).toBe(0)
  })

  it('refuses an id that waits for its answer already', async () => {
    const endpoint = await makeOpen()
    endpoint.ask('one', { id: 'q' })
    expect(() => endpoint.ask('two', { id: 'q' })).toThrow(/"q" is being waited for/)
  })
})

describe('messages', () => {
  it.each([
    ['', /minimum 1/],
    ['   ', /must not be empty/],
    ['x'.repeat(100_001), /100001 characters \(maximum 100000\)/],
    [undefined, /must be a string/],
    [42, /must be a string/],
  ])('text %# is refused before anything is sent', async (text, message) => {
    const endpoint = await makeOpen()
    const send = () => endpoint.sendUserMessage(text as string)
    expect(send).toThrow(message)
    expect(send).toThrow(expect.objectContaining({ code: 'VALIDATION', field: 'text' }))
    expect(FakeWebSocket.latest.sent).toEqual([])
  })

  it('takes an id, or makes one', async () => {
    const endpoint = await makeOpen()
    expect(endpoint.sendUserMessage('hello', 'mine')).toBe('mine')
    expect(endpoint.sendUserMessage('hello')).toMatch(/^[0-9a-f]{32}$/)
  })

  const png =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='

  it('an image goes along, with sendUserMessageWithImage and with ask', async () => {
    const endpoint = await makeOpen()
    endpoint.sendUserMessageWithImage('look', png, 'i')
    endpoint.ask('look again', { image: `data:image/png;base64,${png}` })
    expect(FakeWebSocket.latest.messages).toMatchObject([
      { id: 'i', image: png },
      { image: `data:image/png;base64,${png}` },
    ])
  })

  it.each([
    ['no base64!', /image refused/],
    ['aGVsbG8gd29ybGQsIHRoaXMgaXMgbm8gaW1hZ2U=', /image refused/],
    [`data:image/svg+xml;base64,${png}`, /image refused/],
    [`data:image/gif;base64,${png}`, /image refused/],
    [`data:text/html;base64,${png}`, /image refused/],
    [png.slice(1), /image refused/],
    [`${png.slice(0, 40)}${'A'.repeat(14_000_000)}`, /maximum 10485760 bytes/],
  ])('image %# is refused before anything is sent', async (image, message) => {
    const endpoint = await makeOpen()
    expect(() => endpoint.sendUserMessageWithImage('look', image)).toThrow(message)
    expect(FakeWebSocket.latest.sent).toEqual([])
  })
})

describe('the HTTP side', () => {
  it('calls the routes of the contract, or those it was given, with the token in a header', async () => {
    const transport = new RecordingTransport()
    const endpoint = make({ token: async () => 'secret', routes: { models: '/models' }, api: { transport } })
    await endpoint.getHealth()
    await endpoint.getSettings()
    await endpoint.setSettings({ voice: 'calm' })
    await endpoint.getModels()
    await endpoint.stopGeneration()
    expect(transport.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /v1/health',
      'GET /v1/settings',
      'POST /v1/settings',
      'GET /models',
      'POST /api/stop-generation',
    ])
    for (const { headers } of transport.requests) expect(headers.authorization).toBe('Bearer secret')
    expect(transport.requests[4]?.headers['idempotency-key']).toMatch(/^".+"$/)
    expect(Object.keys(endpoint.getStats())).toEqual(['websocket', 'http'])
    expect(() => endpoint.setSettings('calm' as never)).toThrow(/"settings" must be an object, got "calm"/)
  })
})

describe('what is asked of its options', () => {
  it.each([
    [{ WS_URL: 5 }, /Endpoint: option "WS_URL" must be a string or a function, got 5/],
    [{ API_BASE_URL: undefined }, /Endpoint: option "API_BASE_URL" must be a string, got undefined/],
    [{ routes: { health: 5 } }, /"routes.health" must be a string, got 5/],
    [{ routes: [] }, /"routes" must be an object, got an array/],
    [{ connection: { pingInterval: -1 } }, /GuruConnection: option "pingInterval"/],
    [{ api: { timeout: '5' } }, /ApiClient: option "timeout"/],
  ])('%j is refused', (options, message) => {
    expect(() => make(options as unknown as EndpointOptions)).toThrow(message)
  })

  it('takes a whole environment as it is', () => {
    expect(() => make({ HOME: '/', PATH: '/bin', npm_config_user_agent: 'npm' } as object)).not.toThrow()
    expect(() => make({ timeout: 5 } as object)).toThrow(/option "timeout" is not known, the nearest/)
    expect(() => make({ NODE_ENVS: 'production' } as object)).toThrow(
      /the nearest that is known is "NODE_ENV"/,
    )
  })

  it('in production nothing goes in the clear, but to this machine or when it is allowed', async () => {
    const production = { NODE_ENV: 'production' }
    const insecure = expect.objectContaining({ code: 'INSECURE_URL' })
    expect(() => make({ ...production, API_BASE_URL: 'http://example.com' })).toThrow(insecure)
    expect(() => make({ ...production, WS_URL: 'ws://example.com/ws' })).toThrow(insecure)
    expect(() => make({ ...production, WS_URL: 'ws://example.com/ws', allowInsecure: true })).not.toThrow()
    expect(() => make(production)).not.toThrow()
    expect(() =>
      make({ ...production, WS_URL: 'wss://example.com/ws', API_BASE_URL: 'https://example.com' }),
    ).not.toThrow()
  })

  it('in production an address that a function gives is looked at, too', async () => {
    const errors: unknown[] = []
    const production = { NODE_ENV: 'production' }
    make({ ...production, WS_URL: async () => 'ws://example.com/ws' }).on('error', (error: unknown) =>
      errors.push(error),
    )
    await clock.advance(100)
    expect(FakeWebSocket.all).toEqual([])
    expect((errors[0] as Error).cause).toMatchObject({ code: 'INSECURE_URL' })
  })

  it('development differs in that alone', () => {
    expect(() =>
      make({ NODE_ENV: 'development', WS_URL: 'ws://example.com/ws', API_BASE_URL: 'http://example.com' }),
    ).not.toThrow()
  })
})

describe('dispose', () => {
  it('leaves no timer, and twice is once', async () => {
    const endpoint = await makeOpen()
    endpoint
      .ask('What?')
      .text()
      .catch(() => {})
    endpoint.dispose()
    endpoint.dispose()
    await clock.advance(0)
    expect(clock.pending).toBe(0)
    expect(endpoint.connection.connectionState).toBe('disposed')
  })
})
