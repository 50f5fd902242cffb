// The body of a request as bytes, within a bound.

import type { IncomingMessage } from 'node:http'

/** Why there is no body. */
export type BodyFault = 'tooLarge' | 'cutOff'

/**
 * With listeners, not `for await`: leaving an iteration destroys the socket, and with it the
 * answer. What is too much is still read and thrown away: closing on a client that writes resets
 * the connection before it has read why.
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | BodyFault> {
  return new Promise((resolve) => {
    if (Number(request.headers['content-length']) > maxBytes) {
      request.resume()
      resolve('tooLarge')
      return
    }
    const chunks: Buffer[] = []
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxBytes) {
        chunks.push(chunk)
        return
      }
      chunks.length = 0
      resolve('tooLarge')
    })
    request.on('end', () => resolve(Buffer.concat(chunks)))
    request.on('error', () => resolve('cutOff'))
    request.on('close', () => resolve('cutOff'))
  })
}
