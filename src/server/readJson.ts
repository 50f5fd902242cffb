// The body of a request as JSON, within bounds.

import type { IncomingMessage } from 'node:http'

/** An answer that refuses: a status and a word to the caller. */
export class HttpRefusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const DANGEROUS_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * Reads and parses a body; an empty one is `undefined`.
 * @throws HttpRefusal 413 when it is too large, 400 when it is no JSON or holds dangerous keys
 */
export async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new HttpRefusal(413, `the body is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  if (bytes === 0) return undefined
  return parseJson(Buffer.concat(chunks).toString('utf8'))
}

/** @throws HttpRefusal 400 */
export function parseJson(text: string): unknown {
  let dangerous = false
  let value: unknown
  try {
    value = JSON.parse(text, (key, inner: unknown) => {
      if (DANGEROUS_KEYS.has(key)) dangerous = true
      return inner
    })
  } catch {
    throw new HttpRefusal(400, 'the body is no JSON')
  }
  if (dangerous) throw new HttpRefusal(400, 'the body holds dangerous keys')
  return value
}
