import { afterEach, beforeEach, expect, it } from 'vitest'
import { ApiClient } from '../ApiClient.ts'
import { Endpoint } from '../Endpoint.ts'
import { InputValidator } from '../security/InputValidator.ts'
import { FakeWebSocket } from '../testing/FakeWebSocket.ts'
import type { HttpExchange, HttpReceiver, HttpRequest, HttpTransport } from '../transport/HttpTransport.ts'

const ATTACK = '<img src=x onerror=steal()>'

let sent: HttpRequest[]
/** Keeps every request and answers it with an empty object. */
const transport = {
  acceptEncoding: undefined,
  capabilities: {
    tellsSent: true,
    connectTimeout: true,
    manualRedirects: true,
    boundedHeaders: true,
    boundedEncodings: true,
    uploadStreams: true,
    uploadProgress: true,
    cookies: true,
    ownsConnections: true,
  },
  send(request: HttpRequest, receiver: HttpReceiver): HttpExchange {
    sent.push(request)
    queueMicrotask(() => {
      receiver.onSent()
      receiver.onResponse({
        status: 200,
        headers: { 'content-type': 'application/json' },
        finalUrl: undefined,
        setCookie: undefined,
        body: new TextEncoder().encode('{}'),
      })
    })
    return { cancel() {} }
  },
  decodeText: (bytes: Uint8Array) => new TextDecoder().decode(bytes),
  dispose() {},
} as HttpTransport

const open: { dispose(): void }[] = []
beforeEach(() => {
  sent = []
  FakeWebSocket.reset()
})
afterEach(() => {
  for (const one of open.splice(0)) one.dispose()
})

function client(options: object = {}): ApiClient {
  const made = new ApiClient({ baseURL: 'http://localhost', transport, ...options })
  open.push(made)
  return made
}

it('a call whose texts are refused rejects with the ValidationError, and nothing is sent', async () => {
  const api = client({ validate: { validator: new InputValidator(), fields: { 'data.html': false } } })
  await expect(api.post('/notes', { note: ATTACK })).rejects.toMatchObject({
    code: 'VALIDATION',
    field: 'data.note',
    rule: 'xss',
  })
  await expect(api.get('/notes', { params: { q: "x' or 1=1 -- " } })).rejects.toMatchObject({
    field: 'params.q',
  })
  expect(sent).toHaveLength(0)
  await api.post('/notes', { note: 'a < b', html: ATTACK })
  expect(sent).toHaveLength(1)
})

it('a client made of another validates once, by its own rules where it has some', async () => {
  const validator = new InputValidator()
  const api = client({ validate: { validator, rules: { maxLength: 3 } } })
  const same = api.extend({ headers: { 'x-a': '1' } })
  const other = api.extend({ validate: { validator, rules: { maxLength: 9 } } })
  open.push(same, other)
  await expect(same.post('/', { note: 'abcd' })).rejects.toMatchObject({ rule: 'maxLength' })
  await other.post('/', { note: 'abcd' })
  expect(validator.getStats().totalValidations).toBe(2)
})

it('an endpoint looks at messages and requests alike', async () => {
  const endpoint = new Endpoint({
    WS_URL: 'ws://localhost/ws',
    API_BASE_URL: 'http://localhost',
    connection: { WebSocket: FakeWebSocket as never, autoConnect: false },
    api: { transport },
    validate: { validator: new InputValidator(), fields: { content: { noXss: true, profile: 'allowCode' } } },
  })
  open.push(endpoint)
  expect(() => endpoint.sendUserMessage(ATTACK)).toThrow(
    expect.objectContaining({ field: 'content', rule: 'xss' }),
  )
  expect(endpoint.sendUserMessage(`What does \`${ATTACK}\` do?`)).toBeTypeOf('string')
  await expect(endpoint.setSettings({ name: ATTACK })).rejects.toMatchObject({ field: 'data.name' })
  expect(endpoint.getStats().websocket.queuedMessages).toBe(1)
})

it('what is no validator is refused when it is given', () => {
  for (const validate of [{}, { validator: {} }, new InputValidator()]) {
    expect(() => new ApiClient({ validate } as never)).toThrow(/validate.*validateFields/)
  }
})
