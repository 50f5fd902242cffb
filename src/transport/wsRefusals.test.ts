// What comes from a server that does not keep to RFC 6455, or leaves its TCP connection hanging: raw bytes on a real socket.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { GuruConnection } from '../GuruConnection.ts'

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
})

const MAX_PAYLOAD = 5000
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** A server that accepts every upgrade and then sends nothing but what the test writes. Its sockets end only when told to. */
async function rawServer() {
  const accepted: ((socket: Socket) => void)[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    cleanups.push(() => socket.destroy())
    socket.on('error', () => {})
    socket.once('data', (request) => {
      const [, key] = /sec-websocket-key: (.*)\r\n/i.exec(String(request)) ?? []
      const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64')
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      )
      accepted.shift()?.(socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => server.close())
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, next: () => new Promise<Socket>((resolve) => accepted.push(resolve)) }
}

function frame(first: number, payload: Uint8Array, second = 0): Buffer {
  const { length } = payload
  const size = length < 126 ? [length | second] : [126 | second, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([first, ...size]), payload])
}
const text = (value: string) => frame(0x81, Buffer.from(value))

/** The code of the close frame that a client sends: its mask laid off. */
function closeCode(bytes: Buffer): number | undefined {
  const [first, , m0, m1, , , b0, b1] = bytes
  if (first !== 0x88) return undefined
  return (((b0 as number) ^ (m0 as number)) << 8) | ((b1 as number) ^ (m1 as number))
}

/** What is wrong, after how many bytes of it the end has to come, and what `ws` alone makes of it. */
const broken: readonly [string, number, Buffer][] = [
  ['a text that is no UTF-8', 1007, frame(0x81, Buffer.from([0x61, 0xff]))],
  ['a numbered text that is no UTF-8', 1007, frame(0x81, Buffer.from('7:\xff', 'latin1'))],
  ['a reserved bit', 1002, Buffer.from([0xc1, 0x05])],
  ['another reserved bit', 1002, Buffer.from([0xa1, 0x05])],
  ['a mask', 1002, Buffer.from([0x81, 0x85])],
  ['an unknown opcode', 1002, Buffer.from([0x83, 0x05])],
  ['an unknown control opcode', 1002, Buffer.from([0x8b, 0x05])],
  ['the end of a message that has not begun', 1002, Buffer.from([0x80, 0x05])],
  ['a text within a text', 1002, Buffer.concat([frame(0x01, Buffer.from('a')), Buffer.from([0x81, 0x01])])],
  ['a ping in fragments', 1002, Buffer.from([0x09, 0x01])],
  ['a ping that is too long', 1002, Buffer.from([0x89, 126])],
  ['a close code that no frame may carry', 1002, frame(0x88, Buffer.from([0x03, 0xed]))],
  ['a text that is too large', 1009, Buffer.from([0x81, 126, 0x20, 0x00])],
  ['bytes that are too large', 1009, Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0])],
  [
    'fragments that are too large together',
    1009,
    Buffer.concat([frame(0x01, new Uint8Array(MAX_PAYLOAD)), Buffer.from([0x80, 0x01])]),
  ],
]

describe('a broken frame', () => {
  it.each(broken)('%s is refused with %i at once, as bare ws does', async (_what, code, bytes) => {
    const { url, next } = await rawServer()
    // Alone, behind a text in the same chunk, and with a text behind it, of which nobody may hear.
    const ways = [[bytes], [text('before'), bytes], [bytes, text('after')]]
    for (const way of ways) {
      const found: unknown[] = []
      for (const ours of [false, true]) {
        const came = next()
        const heard: unknown[] = []
        if (ours) {
          const connection = new GuruConnection({
            url,
            healthUrl: false,
            reconnectDelay: 60_000,
            maxPayload: MAX_PAYLOAD,
          })
          cleanups.push(() => connection.dispose())
          connection.on('message', (message) => heard.push(message))
        } else {
          const socket = new WebSocket(url, { maxPayload: MAX_PAYLOAD, perMessageDeflate: false })
          cleanups.push(() => socket.terminate())
          socket.on('message', (message) => heard.push(String(message)))
          socket.on('error', () => {})
        }
        const socket = await came
        socket.write(Buffer.concat(way))
        const [answer] = (await once(socket, 'data')) as [Buffer]
        found.push([closeCode(answer), heard])
      }
      const heard = way[0] === bytes ? [] : ['before']
      expect(found).toEqual([
        [code, heard],
        [code, heard],
      ])
    }
  })

  it.each([1, 2, 3, 5])('a text that is no UTF-8 is refused when it comes in pieces of %i', async (size) => {
    const { url, next } = await rawServer()
    const came = next()
    const connection = new GuruConnection({ url, healthUrl: false, reconnectDelay: 60_000 })
    cleanups.push(() => connection.dispose())
    const heard: unknown[] = []
    connection.on('message', (message) => heard.push(message))
    const socket = await came
    socket.setNoDelay()
    const bytes = Buffer.concat([text('a'), frame(0x81, Buffer.from([0x61, 0xff])), text('after')])
    const answer = once(socket, 'data') as Promise<[Buffer]>
    for (let at = 0; at < bytes.length; at += size) {
      socket.write(bytes.subarray(at, at + size))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(closeCode((await answer)[0])).toBe(1007)
    expect(heard).toEqual(['a'])
  })
})

describe('a close frame on a TCP connection that hangs', () => {
  it.each([
    ['1000', 1000, 'closed'],
    ['a code of the app', 4100, 'waiting'],
    ['no code', 1005, 'waiting'],
  ])('%s ends the line at once', async (_name, code, state) => {
    const { url, next } = await rawServer()
    const came = next()
    const connection = new GuruConnection({ url, healthUrl: false, reconnectDelay: 60_000 })
    cleanups.push(() => connection.dispose())
    const close = new Promise((resolve) => connection.once('close', resolve))
    const socket = await came
    const payload = code === 1005 ? [] : [code >> 8, code & 255, 0x62, 0x79, 0x65]
    const answered = once(socket, 'data') as Promise<[Buffer]>
    socket.write(frame(0x88, Uint8Array.from(payload)))
    const reason = code === 1005 ? '' : 'bye'
    expect(await close).toEqual({ code, reason, wasClean: true })
    expect(connection.connectionState).toBe(state)
    // The answer still goes out, and the end of our side.
    const [answer] = await answered
    expect(answer[0]).toBe(0x88)
    expect(closeCode(answer)).toBe(code === 1005 ? closeCode(answer) : code)
    await once(socket, 'end')
  })

  it('that answers ours ends the closing, too', async () => {
    const { url, next } = await rawServer()
    const came = next()
    const connection = new GuruConnection({ url, healthUrl: false })
    cleanups.push(() => connection.dispose())
    const errors: unknown[] = []
    connection.on('error', (error) => errors.push(error))
    const close = new Promise((resolve) => connection.once('close', resolve))
    const socket = await came
    if (!connection.connected) await once(connection as never, 'open')
    connection.close(4000, 'enough')
    await once(socket, 'data')
    socket.write(frame(0x88, Buffer.from([0x0f, 0xa0])))
    expect(await close).toMatchObject({ code: 4000, wasClean: true })
    expect(connection.connectionState).toBe('closed')
    expect(errors).toEqual([])
  })
})
