// An HTTP server on bare sockets: it does as little as an honest HTTP/1.1 answer allows, so that the client
// is what limits. It counts as the other one does, and keeps the last head as it came.

import { createServer, type Socket } from 'node:net'
import { answer } from '../harness/child.ts'
import { documentOf } from './payload.ts'

const body = JSON.stringify(documentOf(1024))
const response = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
)
const HEAD_END = Buffer.from('\r\n\r\n')

let requests = 0
let bodyBytes = 0
let lastHead = ''

/** Takes whole requests off `buffer`; returns what is left of it, and how many were whole. */
function takeRequests(buffer: Buffer): { rest: Buffer; whole: number } {
  let rest = buffer
  let whole = 0
  for (;;) {
    const end = rest.indexOf(HEAD_END)
    if (end < 0) return { rest, whole }
    const head = rest.toString('latin1', 0, end)
    const bodyStart = end + 4
    const bodyEnd = head.startsWith('GET ') ? bodyStart : endOfBody(rest, head, bodyStart)
    if (bodyEnd < 0) return { rest, whole }
    lastHead = head
    bodyBytes += bodyEnd - bodyStart
    whole += 1
    if (bodyEnd === rest.length) return { rest: Buffer.alloc(0), whole }
    rest = rest.subarray(bodyEnd)
  }
}

/** Where the body ends, or -1 while it is not all here. Sized and chunked bodies; the last chunk without trailers. */
function endOfBody(buffer: Buffer, head: string, start: number): number {
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (length !== undefined) {
    const end = start + Number(length)
    return end <= buffer.length ? end : -1
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return start
  const last = buffer.indexOf('0\r\n\r\n', start)
  return last < 0 ? -1 : last + 5
}

const server = createServer((socket: Socket) => {
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  let kept: Buffer | undefined
  socket.on('data', (chunk: Buffer) => {
    const { rest, whole } = takeRequests(kept ? Buffer.concat([kept, chunk]) : chunk)
    kept = rest.length ? rest : undefined
    requests += whole
    for (let left = whole; left > 0; left -= 1) socket.write(response)
  })
})

answer({
  listen: () =>
    new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      })
    }),
  counts: () => ({ requests, bodyBytes }),
  /** The last request line and headers as they came, for the bytes they take. */
  lastHead: () => lastHead,
})
