// A shorter way in for small text frames: they are read from the chunk as it came, before `ws` takes it apart with a buffer, a
// state and an event for each, which costs more than all that is done with a message here. All else (fragments, binary and
// control frames, what is large, masked, compressed or wrong) is handed to `ws` as ever, in its place.
//
// Whether `ws` stands between two messages is seen from its own fields. Where they are not found, nothing is changed.

import { isUtf8 } from 'node:buffer'

/** The part of a `Receiver` of `ws` that tells whether it stands between two messages. */
interface Receiver {
  write(chunk: Buffer): boolean
  readonly _state: number
  readonly _bufferedBytes: number
  readonly _fragmented: number
  readonly _opcode: number
  readonly _errored: boolean
}

const GET_INFO = 0
const CLOSE_FRAME = 8
// RFC 6455 section 5.2.
const FINAL_TEXT = 0x81
const FINAL_CLOSE = 0x88
const FINAL = 0x80
const RESERVED = 0x70
/** Lengths up to here stand in the second byte; the next says that two more bytes hold it. */
const SHORT = 125
const TWO_BYTES = 126
/** Numbers with more digits are left to who reads texts. */
const MOST_DIGITS = 9
const ZERO = 0x30
const COLON = 0x3a
/** A longer frame whose end has not come is left to `ws`: it gathers what comes in pieces. */
const LONGEST_BEGUN = 4096

function isReceiver(receiver: unknown): receiver is Receiver {
  const known = receiver as Partial<Receiver> | null | undefined
  return (
    typeof known?.write === 'function' &&
    known._state === GET_INFO &&
    known._bufferedBytes === 0 &&
    known._fragmented === 0 &&
    typeof known._opcode === 'number' &&
    known._errored === false
  )
}

const isIdle = ({ _state, _bufferedBytes, _fragmented, _opcode, _errored }: Receiver): boolean =>
  _state === GET_INFO && _bufferedBytes === 0 && _fragmented === 0 && _opcode !== CLOSE_FRAME && !_errored

const INCOMPLETE = 0
const UNUSUAL = -1

/** Where the payload of the frame at `at` begins. */
function payloadStart(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number
  if ((first & FINAL) === 0 || (first & RESERVED) !== 0 || first === FINAL_CLOSE) return UNUSUAL
  if (at + 1 >= bytes.length) return INCOMPLETE
  const length = bytes[at + 1] as number
  if (length <= SHORT) return at + 2
  if (length !== TWO_BYTES) return UNUSUAL
  return at + 4 <= bytes.length ? at + 4 : INCOMPLETE
}

/** Where that frame ends. */
function frameEnd(bytes: Uint8Array, at: number, start: number): number {
  const second = bytes[at + 1] as number
  return start + (second <= SHORT ? second : ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number))
}

/** The text of a payload; `undefined` when it is none. */
function textOf(bytes: Buffer, start: number, end: number): string | undefined {
  const text = bytes.toString('utf8', start, end)
  // What is wrong becomes this character; most texts can be seen at once to hold none.
  return text.includes('\ufffd') && !isUtf8(bytes.subarray(start, end)) ? undefined : text
}

/** Where the colon stands of a payload `number:text`; 0 when it is none. */
function colonAfterNumber(bytes: Uint8Array, start: number, end: number): number {
  if (bytes[start] === ZERO) return 0
  const last = Math.min(end, start + MOST_DIGITS + 1)
  for (let at = start; at < last; at += 1) {
    const byte = bytes[at] as number
    if (byte === COLON) return at > start ? at : 0
    if (byte < ZERO || byte > ZERO + 9) return 0
  }
  return 0
}

/** The number of the digits from `start` to `end`. */
function numberOf(bytes: Uint8Array, start: number, end: number): number {
  let number = 0
  for (let at = start; at < end; at += 1) number = number * 10 + ((bytes[at] as number) - ZERO)
  return number
}

/** Takes a text that came in, without its number where texts have one. `number`: 0 for none. */
export type TakeText = (text: string, number: number) => void

/**
 * Hands the texts that come in to `take`.
 * @param receiver the receiver of a `ws` that has just opened
 * @param options `maxBytes`: longer texts are left to `ws`, which refuses what is too large; `numbered`: whether `number:text` is a
 * text with its number
 */
export function readTexts(
  receiver: unknown,
  { maxBytes, numbered }: { maxBytes: number; numbered: boolean },
  take: TakeText,
): void {
  if (!isReceiver(receiver)) return
  const write = receiver.write.bind(receiver)
  /** The beginning of a frame whose end has not come. */
  let begun: Buffer | undefined

  /** Reads whole frames from `from` on. Returns whether more may be written. */
  function read(bytes: Buffer): boolean {
    let goOn = true
    for (let at = 0; at < bytes.length; ) {
      const start = isIdle(receiver as Receiver) ? payloadStart(bytes, at) : UNUSUAL
      if (start === UNUSUAL) return write(bytes.subarray(at)) && goOn
      const end = start === INCOMPLETE ? bytes.length + 1 : frameEnd(bytes, at, start)
      if (end > bytes.length) {
        if (end - at > LONGEST_BEGUN) return write(bytes.subarray(at)) && goOn
        // A copy: the chunk is larger by far, and must not be held for its last bytes.
        begun = Buffer.from(bytes.subarray(at))
        return goOn
      }
      const isText = bytes[at] === FINAL_TEXT && end - start <= maxBytes
      const colon = isText && numbered ? colonAfterNumber(bytes, start, end) : 0
      const text = isText ? textOf(bytes, colon > 0 ? colon + 1 : start, end) : undefined
      if (text === undefined) goOn = write(bytes.subarray(at, end)) && goOn
      else take(text, colon > 0 ? numberOf(bytes, start, colon) : 0)
      at = end
    }
    return goOn
  }

  receiver.write = (chunk) => {
    if (!begun) return read(chunk)
    const before = begun
    begun = undefined
    // Only the frame that lies across two chunks is copied.
    const joined = Buffer.concat([before, chunk.subarray(0, LONGEST_BEGUN)])
    const start = payloadStart(joined, 0)
    const end = start > 0 ? frameEnd(joined, 0, start) : 0
    if (end === 0 || end > joined.length) return read(Buffer.concat([before, chunk]))
    const goOn = read(joined.subarray(0, end))
    return read(chunk.subarray(end - before.length)) && goOn
  }
}
