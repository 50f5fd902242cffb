// Saying no to an upgrade.

import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'

/** A last word in HTTP; the socket is not left open for a client that never closes its side. */
export function refuseUpgrade(socket: Duplex, status: number): void {
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}
