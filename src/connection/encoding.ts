// Messages to frames and back: strings as they are, other values as JSON, bytes as binary.

import { CommsError } from '../core/errors.ts'

/** What a frame can carry. */
export type Payload = string | ArrayBuffer | ArrayBufferView<ArrayBuffer>

/** What a frame brought: text is a string. */
export type Frame = string | ArrayBuffer | Uint8Array<ArrayBuffer>

function unsendable(got: string, cause?: unknown): CommsError {
  const message = `send: data must be a string, bytes or what JSON can hold, got ${got}`
  return new CommsError(message, { code: 'BAD_REQUEST', cause })
}

/**
 * The frame's payload for a message. JSON is made now, so that later changes of the object do not matter.
 * @throws CommsError `BAD_REQUEST` for what JSON cannot hold: a circular structure, a BigInt, a function, `undefined`
 */
export function encode(data: unknown): Payload {
  if (typeof data === 'string') return data
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return plainBytes(data)
  let text: string | undefined
  try {
    text = JSON.stringify(data)
  } catch (error) {
    throw unsendable(`what JSON cannot hold (${(error as Error).message.split('\n', 1)[0]})`, error)
  }
  if (text === undefined) throw unsendable(data === undefined ? 'undefined' : `a ${typeof data}`)
  // A Map, a Promise, a Blob ...: JSON turns them into "{}" without a word, and loses what an Error says.
  if ((text === '{}' && tagOf(data) !== 'Object') || isMuteError(data)) {
    if (isBuffer(data)) return plainBytes(data)
    const tag = tagOf(data)
    const advice = tag === 'Blob' || tag === 'File' ? ': send its arrayBuffer()' : ''
    throw unsendable(`${/^[AEIOU]/.test(tag) ? 'an' : 'a'} ${tag}${advice}`)
  }
  return text
}

/** The kind of a value, in whatever realm it was made: `Map` for a Map. */
const tagOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1)

const isMuteError = (value: unknown): boolean => value instanceof Error && !('toJSON' in value)

/** Bytes as an app may have them: of another realm (an iframe, a `vm` context), or shared with a worker. */
type AnyBytes = ArrayBufferLike | ArrayBufferView<ArrayBufferLike>

/** Whether a value travels as a binary frame. */
export function isBytes(data: unknown): data is AnyBytes {
  return data instanceof ArrayBuffer || ArrayBuffer.isView(data) || isBuffer(data)
}

function isBuffer(data: unknown): data is ArrayBufferLike {
  const tag = tagOf(data)
  return tag === 'ArrayBuffer' || tag === 'SharedArrayBuffer'
}

/** The bytes as every WebSocket takes them; copied only when they are shared. */
export function plainBytes(data: AnyBytes): ArrayBuffer | ArrayBufferView<ArrayBuffer> {
  if (data instanceof ArrayBuffer) return data
  const buffer = ArrayBuffer.isView(data) ? data.buffer : data
  if (buffer instanceof ArrayBuffer) return data as ArrayBufferView<ArrayBuffer>
  const view = ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)
  return tagOf(buffer) === 'ArrayBuffer' ? (view as Uint8Array<ArrayBuffer>) : new Uint8Array(view)
}

/** The same bytes, one by one. */
export function viewOf(data: ArrayBuffer | ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)
}

/** A copy of the bytes, so that a caller may use its buffer again while a message waits; text needs none. */
export function snapshot(payload: Payload): string | ArrayBuffer {
  return typeof payload === 'string' ? payload : viewOf(payload).slice().buffer
}

const utf8 = new TextEncoder()
/** How many bytes a text has as UTF-8. */
export type Utf8Length = (text: string) => number

const byEncoding: Utf8Length = (text) => utf8.encode(text).length

/**
 * How many bytes the payload of the frame has; text counts as UTF-8.
 * @param utf8Length a quicker way to count, where the platform has one
 */
export function byteLength(payload: Payload, utf8Length: Utf8Length = byEncoding): number {
  return typeof payload === 'string' ? utf8Length(payload) : payload.byteLength
}

const BRACE = 0x7b
// What JSON can begin with: anything else is spared the price of a thrown SyntaxError.
const JSON_START = /^\s*[[{"\-0-9tfn]/

/** The value of a text frame: parsed JSON, or the text itself when it is none. */
export function decodeText(text: string): unknown {
  if (text.charCodeAt(0) !== BRACE && !JSON_START.test(text)) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The bytes of a binary frame as an ArrayBuffer of their own; copied only when they are a part of a larger one. */
export function toArrayBuffer(data: ArrayBuffer | Uint8Array<ArrayBuffer>): ArrayBuffer {
  if (data instanceof ArrayBuffer) return data
  return data.byteLength === data.buffer.byteLength ? data.buffer : viewOf(data).slice().buffer
}
