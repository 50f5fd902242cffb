import { afterEach, beforeEach, expect, it } from 'vitest'
import { RecordingTransport } from '../../tests/support/recordingTransport.ts'
import { ApiClient } from '../ApiClient.ts'
import { Endpoint } from '../Endpoint.ts'
import { InputValidator } from '../security/InputValidator.ts'
import { FakeWebSocket } from '../testing/FakeWebSocket.ts'

const ATTACK = '<img src=x onerror=steal()>'

let transport: RecordingTransport
const open: { dispose(): void }[] = []
beforeEach(() => {
  transport = new RecordingTransport()
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
  expect(transport.requests).toHaveLength(0)
  await api.post('/notes', { note: 'a < b', html: ATTACK })
  expect(transport.requests).toHaveLength(1)
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
