// The frames of guru.v1: what their first character or byte says. Wrong ones are results, never throws: they come
// from the network. It knows nothing of sessions: whether a frame fits is decided by who asked.

import { type Control, parseControl } from './control.ts'
import { MAX_NUMBER } from './limits.ts'

/** A payload: text, or bytes. */
export type Payload = string | Uint8Array<ArrayBuffer>

/** What travels in one WebSocket message. */
export type Frame = string | Uint8Array<ArrayBuffer>

/** The stream of a text message: it has none. Binary ones have 0 to 255. */
export const TEXT = -1

export type Decoded =
  | { readonly kind: 'reliable'; readonly number: number; readonly stream: number; readonly payload: Payload }
  | { readonly kind: 'volatile'; readonly stream: number; readonly payload: Payload }
  | { readonly kind: 'control'; readonly control: Control }
  | { readonly kind: 'wrong'; readonly reason: string }

const COLON = 0x3a
const BRACE = 0x7b
const ZERO = 0x30
const RELIABLE = 1
const VOLATILE = 0
const RELIABLE_HEADER = 6
const VOLATILE_HEADER = 2

/** The frame of message `number`. An empty text makes it a void: the number counts, nothing is handed over. */
export function encodeReliable(number: number, stream: number, payload: Payload): Frame {
  if (typeof payload === 'string') return `${number}:${payload}`
  const frame = new Uint8Array(RELIABLE_HEADER + payload.length)
  frame[0] = RELIABLE
  frame[1] = stream
  frame[2] = number >>> 24
  frame[3] = number >>> 16
  frame[4] = number >>> 8
  frame[5] = number
  frame.set(payload, RELIABLE_HEADER)
  return frame
}

/** The frame of a message that has no number and is never sent again. */
export function encodeVolatile(stream: number, payload: Payload): Frame {
  if (typeof payload === 'string') return `:${payload}`
  const frame = new Uint8Array(VOLATILE_HEADER + payload.length)
  frame[0] = VOLATILE
  frame[1] = stream
  frame.set(payload, VOLATILE_HEADER)
  return frame
}

/**
 * The number of a text frame that is a reliable message; 0 for any other, a wrong one included. Without an object, since almost all
 * frames of a busy session are of this kind: `textPayload` gives the rest.
 */
export function reliableNumber(text: string): number {
  let number = 0
  for (let at = 0; at <= 10; at += 1) {
    const code = text.charCodeAt(at)
    if (code === COLON) return number <= MAX_NUMBER ? number : 0
    if (!(code >= ZERO && code <= ZERO + 9) || (code === ZERO && at === 0)) return 0
    number = number * 10 + (code - ZERO)
  }
  return 0
}

/** What follows the number and the colon of such a frame. */
export function textPayload(text: string, number: number): string {
  let digits = 1
  for (let least = 10; least <= number; least *= 10) digits += 1
  return text.slice(digits + 1)
}

/** What a frame says. Binary payloads are views of the frame: copy what is to be kept. */
export function decodeFrame(frame: Frame): Decoded {
  return typeof frame === 'string' ? decodeText(frame) : decodeBinary(frame)
}

function decodeText(text: string): Decoded {
  const first = text.charCodeAt(0)
  if (first === BRACE) {
    const control = parseControl(text)
    return typeof control === 'string' ? wrong(control) : { kind: 'control', control }
  }
  if (first === COLON) return { kind: 'volatile', stream: TEXT, payload: text.slice(1) }
  let number = 0
  let at = 0
  // Ten digits hold the highest number: a longer row of them is not read to its end.
  for (; at <= 10; at += 1) {
    const code = text.charCodeAt(at)
    if (code === COLON) break
    if (!(code >= ZERO && code <= ZERO + 9)) return wrong('a text frame that is no message and no control')
    number = number * 10 + (code - ZERO)
  }
  if (first === ZERO || number > MAX_NUMBER) return wrong('a number that no message can have')
  return { kind: 'reliable', number, stream: TEXT, payload: text.slice(at + 1) }
}

function decodeBinary(frame: Uint8Array<ArrayBuffer>): Decoded {
  const kind = frame[0]
  if (kind === VOLATILE && frame.length >= VOLATILE_HEADER) {
    return { kind: 'volatile', stream: frame[1] as number, payload: frame.subarray(VOLATILE_HEADER) }
  }
  if (kind !== RELIABLE || frame.length < RELIABLE_HEADER) return wrong('a binary frame without a header')
  const number =
    (((frame[2] as number) << 24) |
      ((frame[3] as number) << 16) |
      ((frame[4] as number) << 8) |
      (frame[5] as number)) >>>
    0
  if (number === 0) return wrong('a number that no message can have')
  return { kind: 'reliable', number, stream: frame[1] as number, payload: frame.subarray(RELIABLE_HEADER) }
}

function wrong(reason: string): Decoded {
  return { kind: 'wrong', reason }
}

/** UTF-8 bytes of a text, or the length of bytes: what the limits count. */
export function payloadBytes(payload: Payload): number {
  if (typeof payload !== 'string') return payload.length
  let bytes = payload.length
  for (let index = 0; index < payload.length; index += 1) {
    const unit = payload.charCodeAt(index)
    if (unit < 0x80) continue
    // A surrogate pair is four bytes: two for each half.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2
  }
  return bytes
}
