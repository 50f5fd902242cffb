// Bytes for those who do not keep to the rules: sockets that write and never read, and frames of any form.

import { connect, type Socket } from 'node:net'
import { upgradeHead } from '../support/backendClients.ts'

/** Attackers come from here; whoever is to be served meanwhile, from another address. */
export const ATTACKER = '127.0.0.1'
export const BYSTANDER = '127.0.0.2'

export const CONTINUATION = 0
export const TEXT = 1
export const BINARY = 2
export const CLOSE = 8
export const PING = 9
export const PONG = 10

/** A masked frame, with a mask of zeros; `bits` are FIN and RSV1 to RSV3. */
export function frame(opcode: number, payload: Buffer | string = '', bits = 0x80): Buffer {
  const body = Buffer.from(payload)
  return Buffer.concat([frameHead(opcode, body.length, bits), body])
}

/** The head alone: what it promises need not come. */
export function frameHead(opcode: number, length: number, bits = 0x80): Buffer {
  const first = Buffer.from([bits | opcode])
  const mask = Buffer.alloc(4)
  if (length < 126) return Buffer.concat([first, Buffer.from([0x80 | length]), mask])
  if (length < 65_536) {
    const size = Buffer.alloc(3)
    size[0] = 0x80 | 126
    size.writeUInt16BE(length, 1)
    return Buffer.concat([first, size, mask])
  }
  const size = Buffer.alloc(9)
  size[0] = 0x80 | 127
  size.writeBigUInt64BE(BigInt(length), 1)
  return Buffer.concat([first, size, mask])
}

/** A client that reads nothing unless it is told to. */
export class Wire {
  readonly socket: Socket
  gone = false
  heard = ''

  constructor(port: number, first: Buffer | string = '') {
    this.socket = connect({ port, host: '127.0.0.1', localAddress: ATTACKER })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.gone = true
    })
    if (first.length > 0) this.socket.write(first)
  }

  /** One that has asked for a WebSocket. */
  static webSocket(port: number, session: boolean, ...more: Buffer[]): Wire {
    const protocol = session ? 'Sec-WebSocket-Protocol: guru.v1\r\n' : ''
    const wire = new Wire(port, upgradeHead('/ws', protocol))
    if (session) wire.write(frame(TEXT, '{"t":"open"}'))
    for (const bytes of more) wire.write(bytes)
    return wire
  }

  read(): this {
    this.socket.on('data', (chunk) => {
      this.heard = (this.heard + chunk.toString('latin1')).slice(-2000)
    })
    return this
  }

  write(bytes: Buffer | string): void {
    if (!this.gone && this.socket.writable) this.socket.write(bytes)
  }

  /** Writes as fast as it is taken, until `over`. */
  flood(bytes: Buffer, over: () => boolean): void {
    const more = () => {
      if (this.gone || !this.socket.writable || over()) return
      this.socket.write(bytes, () => setImmediate(more))
    }
    more()
  }

  end(): void {
    this.socket.destroy()
  }
}

export function times(count: number, bytes: Buffer): Buffer {
  return Buffer.concat(Array<Buffer>(count).fill(bytes))
}
