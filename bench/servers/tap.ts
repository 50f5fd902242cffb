// A WebSocket server on bare sockets that keeps every byte a client sends after the handshake: for weighing frames.

import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { speakerFor } from './protocols.ts'

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

export interface Frame {
  opcode: number
  text: string
  /** All of it as it crossed the wire: header, mask and payload. */
  bytes: number
}

export interface Tap {
  origin: string
  /** Whole frames that arrived so far. */
  frames: Frame[]
  close(): void
}

/** Takes whole client frames (masked, RFC 6455 section 5.2) off a buffer. */
function takeFrames(buffer: Buffer, frames: Frame[]): Buffer {
  let rest = buffer
  while (rest.length >= 6) {
    const short = (rest[1] ?? 0) & 0x7f
    const header = short === 127 ? 14 : short === 126 ? 8 : 6
    if (rest.length < header) return rest
    const length =
      short === 127 ? Number(rest.readBigUInt64BE(2)) : short === 126 ? rest.readUInt16BE(2) : short
    if (rest.length < header + length) return rest
    const mask = rest.subarray(header - 4, header)
    const payload = Buffer.from(rest.subarray(header, header + length))
    for (let index = 0; index < payload.length; index += 1) {
      payload[index] = (payload[index] ?? 0) ^ (mask[index % 4] ?? 0)
    }
    frames.push({ opcode: (rest[0] ?? 0) & 0x0f, text: payload.toString(), bytes: header + length })
    rest = rest.subarray(header + length)
  }
  return rest
}

/** A text frame from server to client, short ones only. */
function textFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  return Buffer.concat([Buffer.from([0x81, payload.length]), payload])
}

/** @param heartbeatMs how often clients that answer the server's heartbeat hear one */
export function openTap(heartbeatMs: number): Promise<Tap> {
  const frames: Frame[] = []
  const streams = new Set<Duplex>()
  const server = createServer((_request, response) => response.end('{"status":"ok"}'))
  server.on('upgrade', (request, stream: Duplex) => {
    streams.add(stream)
    const speaker = speakerFor(request.url ?? '/', '')
    const key = createHash('sha1').update(`${request.headers['sec-websocket-key']}${GUID}`).digest('base64')
    stream.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`,
    )
    for (const text of speaker.greeting) stream.write(textFrame(text))
    const { heartbeat } = speaker
    const timer = heartbeat ? setInterval(() => stream.write(textFrame(heartbeat)), heartbeatMs) : undefined
    stream.on('close', () => clearInterval(timer))
    let kept: Buffer = Buffer.alloc(0)
    let read = 0
    stream.on('error', () => stream.destroy())
    stream.on('data', (chunk: Buffer) => {
      kept = takeFrames(Buffer.concat([kept, chunk]), frames)
      for (; read < frames.length; read += 1) {
        const frame = frames[read]
        if (frame?.opcode !== 1) continue
        for (const reply of speaker.read(frame.text).replies) stream.write(textFrame(reply))
      }
    })
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      resolve({
        origin: `ws://127.0.0.1:${port}`,
        frames,
        close() {
          for (const stream of streams) stream.destroy()
          server.close()
        },
      })
    })
  })
}
