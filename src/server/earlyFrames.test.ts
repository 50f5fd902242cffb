// What PROTOCOL.md says about frames that do not wait for `opened`.

import { afterEach, beforeEach, expect, it } from 'vitest'
import { FrameClient, listen } from '../../tests/support/frameClient.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { SessionServer } from './SessionServer.ts'

let http: Awaited<ReturnType<typeof listen>>
let server: SessionServer
const handled: unknown[] = []

beforeEach(async () => {
  handled.length = 0
  http = await listen()
  // An answer that takes its time: what follows the first frame has come long before.
  server = new SessionServer({
    authenticate: () => new Promise((resolve) => setTimeout(resolve, 20, 'ada')),
  })
  server.onSession((session) => {
    session.handle((data) => void handled.push(data))
  })
  server.attach(http.http)
})
afterEach(async () => {
  await server.close({ graceMs: 0 })
  await http.close()
})

it('what came before the answer to `open` is taken as if it had come behind', async () => {
  const client = await new FrameClient(http.port).connected()
  client.say({ t: 'open' }, '1:early', { t: 'ping', at: 7 }, '2:too')
  await client.opened()
  await client.acked(2)
  expect(handled).toEqual(['early', 'too'])
  expect(client.frames[0]).toContain('"opened"')
  expect(client.control('pong')).toEqual({ t: 'pong', at: 7 })
  client.socket.terminate()
})

it('messages, acknowledgements and pings may follow `resume` at once; its `rx` counts as told', async () => {
  const client = new FrameClient(http.port)
  const { sid, key } = await client.open()
  client.say('1:first')
  await client.acked(1)
  await client.cut()
  const again = await new FrameClient(http.port).connected()
  again.say({ t: 'resume', sid, key, epoch: 1, rx: 0 }, '2:second', { t: 'ack', rx: 0 }, { t: 'ping', at: 8 })
  const { rx } = await again.opened()
  expect(rx).toBe(1)
  await again.acked(2)
  expect(handled).toEqual(['first', 'second'])
  // One for what `opened` did not say, none for what it did.
  expect(again.controls('ack')).toEqual([{ t: 'ack', rx: 2 }])
  expect(again.control('pong')).toEqual({ t: 'pong', at: 8 })
  await until(() => again.closed === undefined, 'it stays open')
  again.socket.terminate()
})

it.each([
  ['a text', `1:${'x'.repeat(101)}`],
  ['a text of long characters', `1:${'é'.repeat(51)}`],
  ['bytes', new Uint8Array([1, 0, 0, 0, 0, 1, ...new Uint8Array(101)])],
])('what is above maxFrame closes with 4413, and a tombstone goes on: %s', async (_name, frame) => {
  const small = new SessionServer({ maxFrame: 100 })
  small.onSession((session) => {
    session.handle((data) => void handled.push(data))
  })
  const place = await listen()
  small.attach(place.http)
  const client = new FrameClient(place.port)
  const { sid, key } = await client.open()
  client.say(frame)
  expect((await client.closing()).code).toBe(4413)
  const again = new FrameClient(place.port)
  await again.resume({ sid, key }, 1, 0, '1:', `2:${'x'.repeat(100)}`)
  await again.acked(2)
  expect(handled).toEqual(['x'.repeat(100)])
  again.socket.terminate()
  await small.close({ graceMs: 0 })
  await place.close()
})
