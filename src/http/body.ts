// What a call's data becomes on the wire: bytes, their content type, and whether they can be sent twice.

import { badRequest, CommsError } from '../core/errors.ts'
import { lazily } from '../core/lazily.ts'
import { randomId } from '../core/randomId.ts'
import {
  type BlobLike,
  bytesOf,
  type FormLike,
  isBlob,
  isForm,
  isIterable,
  isNodeForm,
  isOldStream,
  isPlain,
  isSearchParams,
  isWebStream,
  type NodeForm,
  nameOf,
  type OldStream,
} from './bodyKinds.ts'

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
  /** How long a stream is, where it knows. */
  readonly contentLength?: number
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
 * Strings go as they are, bytes and Blobs too; FormData, URLSearchParams and streams in their own formats, whatever realm or
 * library they are of; a function is called at every attempt; plain objects, arrays and what has `toJSON` are JSON.
 * `undefined` and `null` mean no body.
 * @throws CommsError `BAD_REQUEST` for anything else, naming what it is
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
  // By far the most common come first.
  if (isPlain(data) && !(Symbol.asyncIterator in data) && !isWebStream(data))
    return replayable(toJson(data), JSON_TYPE)
  const bytes = bytesOf(data)
  if (bytes) return replayable(bytes, BYTES)
  if (isBlob(data)) return replayable(blobContent(data), data.type || BYTES)
  if (isSearchParams(data))
    return replayable(data.toString(), 'application/x-www-form-urlencoded;charset=UTF-8')
  // Before FormData: newer ones call themselves by its name.
  if (isNodeForm(data)) return prepareNodeForm(data)
  if (isForm(data)) return prepareForm(data)
  if (isWebStream(data) || isIterable(data)) return { content: data, contentType: BYTES, replayable: false }
  if (isOldStream(data)) return { content: oldStream(data), contentType: BYTES, replayable: false }
  if (Array.isArray(data) || typeof (data as { toJSON?: unknown }).toJSON === 'function')
    return replayable(toJson(data), JSON_TYPE)
  const name = nameOf(data)
  if (typeof (data as PromiseLike<unknown>).then === 'function')
    throw refused(`it is a ${name}, a promise: await it first`)
  throw refused(
    `a ${name} has no form on the wire: give a plain object, an array, text, bytes, a Blob, FormData, URLSearchParams, a stream, or an object with toJSON`,
  )
}

/** The platform's own is sent as it is; one of another realm as its bytes. */
function blobContent(data: BlobLike): WireBody | BodyFactory {
  return data instanceof Blob ? data : async () => new Uint8Array(await data.arrayBuffer())
}

const multipart = lazily(() => import('./multipart.ts'))
const oldStreams = lazily(() => import('./oldStream.ts'))

/** As it is now: every attempt sends the same bytes. */
function prepareForm(data: FormLike): PreparedBody {
  const fields = [...data]
  const boundary = `----guru-comms-${randomId()}`
  let encoded: Promise<Blob> | undefined
  const encode = async () => (await multipart()).encodeMultipart(fields, boundary)
  return replayable(() => (encoded ??= encode()), `multipart/form-data; boundary=${boundary}`)
}

function prepareNodeForm(data: NodeForm): PreparedBody {
  const known = data.hasKnownLength?.() ? data.getLengthSync?.() : undefined
  return {
    content: oldStream(data),
    contentType: `multipart/form-data; boundary=${data.getBoundary()}`,
    ...(known !== undefined && { contentLength: known }),
    replayable: false,
  }
}

async function* oldStream(source: OldStream): AsyncGenerator<Uint8Array | string, void, undefined> {
  yield* (await oldStreams()).readOldStream(source)
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
  if (typeof made === 'string' || isWebStream(made) || isIterable(made)) return made
  if (typeof made === 'object' && made !== null) {
    const bytes = bytesOf(made)
    if (bytes) return bytes
    if (made instanceof Blob) return made
    if (isBlob(made)) return new Uint8Array(await made.arrayBuffer())
    if (isOldStream(made)) return oldStream(made)
  }
  throw refused('its function must return a string, bytes, a Blob or a stream')
}
