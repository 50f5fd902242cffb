// The body of a request as JSON, within bounds.

import type { IncomingMessage } from 'node:http'
import { jsonFault } from '../core/parseJson.ts'
import { readBody } from '../replies/durableStreams/readBody.ts'

/** An answer that refuses: a status and a word to the caller. */
export class HttpRefusal extends Error {
  readonly status: number
  /** The option that would change it, where there is one. */
  readonly option: string | undefined
  /** What came, for the log. */
  readonly came: string | undefined

  constructor(status: number, message: string, option?: string, came?: string) {
    super(message)
    this.status = status
    this.option = option
    this.came = came
  }
}

const DANGEROUS_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])
/** Without any of these in the text there is no such key; a backslash may write it another way. */
const MAY_BE_DANGEROUS = /\\|__proto__|constructor|prototype/

/**
 * Reads and parses a body; an empty one is `undefined`.
 * @throws HttpRefusal 413 when it is too large, 400 when it is no JSON, nested too deeply, holds dangerous keys or was cut off
 */
export async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const body = await readBody(request, maxBytes)
  if (body === 'tooLarge') throw tooLarge(maxBytes)
  if (body === 'cutOff') throw new HttpRefusal(400, 'the body was cut off')
  return body.length === 0 ? undefined : parseBody(body.toString('utf8'))
}

function tooLarge(maxBytes: number): HttpRefusal {
  return new HttpRefusal(413, `the body is larger than ${maxBytes} bytes`, 'maxBodyBytes')
}

/** @throws HttpRefusal 400 */
export function parseBody(text: string): unknown {
  const fault = jsonFault(text)
  if (fault !== undefined) throw new HttpRefusal(400, `the body is ${fault}`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new HttpRefusal(400, 'the body is no JSON')
  }
  if (MAY_BE_DANGEROUS.test(text) && hasDangerousKeys(value))
    throw new HttpRefusal(400, 'the body holds dangerous keys')
  return value
}

/** As deep as `jsonFault` lets through, no deeper. */
function hasDangerousKeys(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([key, inner]) => DANGEROUS_KEYS.has(key) || hasDangerousKeys(inner))
}
