// What a call's data becomes on the wire: bytes, their content type, and whether they can be sent twice.

import { badRequest, CommsError } from '../core/errors.ts'
import { lazily } from '../core/lazily.ts'
import { randomId } from '../core/randomId.ts'

/** What transports can send. */
export type WireBody =
  | string
  | Uint8Array
  | Blob
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array | string>

/** Makes the body anew for every attempt, so that even a stream can be retried. */
export type BodyFactory = () => WireBody | PromiseLike<WireBody>

export interface PreparedBody {
  /** `undefined`: none. A function: asked anew at every attempt. */
  readonly content: WireBody | BodyFactory | undefined
  /** Sent unless the caller has set one. */
  readonly contentType: string | undefined
  /** Whether another attempt can send it. A stream that has been read once is gone. */
  readonly replayable: boolean
}

export const JSON_TYPE = 'application/json'

const BYTES = 'application/octet-stream'

export const NO_BODY: PreparedBody = Object.freeze({
  content: undefined,
  contentType: undefined,
  replayable: true,
})

/**
 * Strings go as they are, bytes and Blobs too; FormData, URLSearchParams and streams in their own formats; a function is
 * called at every attempt; everything else is JSON. `undefined` and `null` mean no body.
 * @throws CommsError `BAD_REQUEST` for what has no form on the wire
 */
export function prepareBody(data: unknown): PreparedBody {
  if (data === undefined || data === null) return NO_BODY
  switch (typeof data) {
    case 'string':
      return replayable(data, 'text/plain;charset=UTF-8')
    case 'function':
      return replayable(data as BodyFactory, BYTES)
    case 'object':
      return prepareObject(data)
    case 'symbol':
    case 'bigint':
      throw refused(`a ${typeof data} cannot be sent`)
    default:
      return replayable(toJson(data), JSON_TYPE)
  }
}

function prepareObject(data: object): PreparedBody {
  if (data instanceof ArrayBuffer) return replayable(new Uint8Array(data), BYTES)
  if (ArrayBuffer.isView(data)) {
    const bytes =
      data instanceof Uint8Array ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    return replayable(bytes, BYTES)
  }
  if (data instanceof Blob) return replayable(data, data.type || BYTES)
  if (data instanceof URLSearchParams)
    return replayable(data.toString(), 'application/x-www-form-urlencoded;charset=UTF-8')
  if (data instanceof FormData) return prepareForm(data)
  if (isStream(data)) return { content: data, contentType: BYTES, replayable: false }
  if (typeof (data as PromiseLike<unknown>).then === 'function')
    throw refused('it is a promise: await it first')
  if (data instanceof Map || data instanceof Set) {
    throw refused('a Map or Set has no JSON form')
  }
  return replayable(toJson(data), JSON_TYPE)
}

const multipart = lazily(() => import('./multipart.ts'))

/** As it is now: every attempt sends the same bytes. */
function prepareForm(data: FormData): PreparedBody {
  const fields = [...data]
  const boundary = `----guru-comms-${randomId()}`
  let encoded: Promise<Blob> | undefined
  const encode = async () => (await multipart()).encodeMultipart(fields, boundary)
  return replayable(() => (encoded ??= encode()), `multipart/form-data; boundary=${boundary}`)
}

function toJson(data: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(data)
  } catch (cause) {
    throw refused(
      `it is not JSON: ${cause instanceof Error ? cause.message.split('\n', 1)[0] : cause}`,
      cause,
    )
  }
  if (text === undefined) throw refused('its toJSON() gives nothing')
  return text
}

function replayable(content: WireBody | BodyFactory, contentType: string): PreparedBody {
  return { content, contentType, replayable: true }
}

function refused(why: string, cause?: unknown): CommsError {
  return badRequest(`the request body cannot be sent: ${why}`, cause)
}

/**
 * The body that a function makes for one attempt.
 * @throws CommsError `BAD_REQUEST` when it fails, or makes something else than a body
 */
export async function makeBody(make: BodyFactory): Promise<WireBody> {
  let made: unknown
  try {
    made = await make()
  } catch (cause) {
    if (cause instanceof CommsError) throw cause
    throw refused('its function failed', cause)
  }
  if (typeof made === 'string' || made instanceof Uint8Array || made instanceof Blob || isStream(made))
    return made as WireBody
  throw refused('its function must return a string, bytes, a Blob or a stream')
}

function isStream(data: unknown): data is ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> {
  return (
    data instanceof ReadableStream ||
    (typeof data === 'object' && data !== null && Symbol.asyncIterator in data)
  )
}
