// What a response body becomes: by the caller's wish, else by its content type.

import { CommsError } from '../core/errors.ts'
import { parseJson } from './parseJson.ts'

/** How a body is to be handed over; `stream` is decided before there is a body. */
export type ResponseType = 'json' | 'text' | 'arrayBuffer' | 'blob' | 'stream'

/** The platform's way from bytes to text. */
export interface TextDecoding {
  decodeText(bytes: Uint8Array): string
}

const JSON_TYPE = /^(?:application|text)\/(?:[\w.-]+\+)?json$/
const TEXT_TYPE =
  /^(?:text\/|application\/(?:[\w.-]+\+)?(?:xml|javascript|x-www-form-urlencoded|x-ndjson|yaml|graphql)$)/

/** The media type of a Content-Type header, in lower case, without parameters. */
export function mediaType(contentType: string | undefined): string {
  return contentType === undefined ? '' : (contentType.split(';', 1)[0] as string).trim().toLowerCase()
}

let lastType: string | undefined
let lastKind: 'json' | 'text' | 'arrayBuffer' | undefined

/** What a body of this Content-Type is; `undefined` where the server names none. Servers mostly repeat themselves. */
function kindOf(contentType: string | undefined): typeof lastKind {
  if (contentType !== lastType) {
    const type = mediaType(contentType)
    lastType = contentType
    lastKind = JSON_TYPE.test(type)
      ? 'json'
      : TEXT_TYPE.test(type)
        ? 'text'
        : type
          ? 'arrayBuffer'
          : undefined
  }
  return lastKind
}

/**
 * Without a `type`: JSON and text by content type, an ArrayBuffer for anything else; where the server names no type, JSON if
 * it is JSON, else text. An empty body is `undefined`, and `''` where text is expected.
 * @throws CommsError `BAD_RESPONSE` for JSON that is none
 */
export function parseBody(
  bytes: Uint8Array,
  contentType: string | undefined,
  type: ResponseType | undefined,
  decoding: TextDecoding,
): unknown {
  if (type === 'blob') return new Blob([ownBuffer(bytes)], { type: contentType ?? '' })
  if (type === 'arrayBuffer') return ownBuffer(bytes)
  const kind = type ?? kindOf(contentType)
  if (bytes.byteLength === 0) return kind === 'text' ? '' : undefined
  if (kind === 'arrayBuffer') return ownBuffer(bytes)
  const text = decoding.decodeText(bytes)
  if (kind === 'text') return text
  try {
    return parseJson(text)
  } catch {
    if (!kind) return text
    // The parser quotes the text it stumbled over, which may be anybody's secret: it is no cause to pass on.
    throw new CommsError(`the response is no JSON (${text.length} characters)`, {
      code: 'BAD_RESPONSE',
    })
  }
}

/** The body of an error, as far as it can be read: never throws, for the status matters more. */
export function parseErrorBody(
  bytes: Uint8Array,
  contentType: string | undefined,
  decoding: TextDecoding,
): unknown {
  const isText = bytes.byteLength > 0 && kindOf(contentType) === 'text'
  return parseBody(bytes, undefined, isText ? 'text' : undefined, decoding)
}

/** A copy that shares memory with nothing: what a transport hands over may be part of a larger buffer. */
function ownBuffer(bytes: Uint8Array): ArrayBuffer {
  const copy = new Uint8Array(bytes.byteLength)
  copy.set(bytes)
  return copy.buffer
}
