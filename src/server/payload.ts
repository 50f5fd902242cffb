// Messages of sessions to payloads and back: strings as they are, bytes as bytes, other values as JSON.

import { CommsError } from '../core/errors.ts'
import { parseJson } from '../core/parseJson.ts'
import type { Payload } from '../session/frames.ts'

/**
 * What travels for a message. Bytes are copied and JSON is made now, so that later changes do not matter.
 * @throws CommsError `BAD_REQUEST` for what JSON cannot hold (a circular structure, a BigInt, a function, `undefined`)
 */
export function encodeMessage(data: unknown): Payload {
  if (typeof data === 'string') return data
  if (data instanceof ArrayBuffer) return new Uint8Array(data.slice(0))
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength).slice()
  }
  let text: string | undefined
  let cause: unknown
  try {
    text = JSON.stringify(data)
  } catch (error) {
    cause = error
  }
  if (text !== undefined) return text
  throw new CommsError(
    'send: data must be a string, a value that JSON can hold, an ArrayBuffer or a view of one',
    { code: 'BAD_REQUEST', cause },
  )
}

// What JSON can begin with: anything else is spared the price of a thrown SyntaxError.
const JSON_START = /^\s*[[{"\-0-9tfn]/
const CONTAINER_START = /^\s*[[{]/

/**
 * The message of a payload: parsed JSON, text that is none, or an ArrayBuffer.
 * @throws CommsError `PROTOCOL` for a text that begins like an object or an array and is none, or is nested deeper than 64
 */
export function decodeMessage(payload: Payload): unknown {
  if (typeof payload !== 'string') return toArrayBuffer(payload)
  if (!JSON_START.test(payload)) return payload
  try {
    return parseJson(payload)
  } catch (error) {
    if (!CONTAINER_START.test(payload)) return payload
    throw new CommsError('a message began like JSON and was none', { code: 'PROTOCOL', cause: error })
  }
}

/** The bytes in an ArrayBuffer of their own; copied only when they are a part of a larger one. */
export function toArrayBuffer(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes
  return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength)
}
