// What a response body becomes: by the caller's wish, else by its content type.

import { CommsError } from '../core/errors.ts'

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
  switch (type) {
    case 'json':
      return bytes.byteLength === 0 ? undefined : parseJson(decoding.decodeText(bytes))
    case 'text':
      return decoding.decodeText(bytes)
    case 'arrayBuffer':
      return ownBuffer(bytes)
    case 'blob':
      return new Blob([ownBuffer(bytes)], { type: contentType ?? '' })
    default:
      return parseByType(bytes, contentType, decoding)
  }
}

function parseByType(bytes: Uint8Array, contentType: string | undefined, decoding: TextDecoding): unknown {
  // The one that nearly every answer has, without taking it apart.
  if (contentType === 'application/json' || contentType === 'application/json; charset=utf-8') {
    return bytes.byteLength === 0 ? undefined : parseJson(decoding.decodeText(bytes))
  }
  const type = mediaType(contentType)
  if (JSON_TYPE.test(type)) return bytes.byteLength === 0 ? undefined : parseJson(decoding.decodeText(bytes))
  if (TEXT_TYPE.test(type)) return decoding.decodeText(bytes)
  if (bytes.byteLength === 0) return undefined
  if (type !== '') return ownBuffer(bytes)
  const text = decoding.decodeText(bytes)
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The body of an error, as far as it can be read: never throws, for the status matters more. */
export function parseErrorBody(
  bytes: Uint8Array,
  contentType: string | undefined,
  decoding: TextDecoding,
): unknown {
  if (bytes.byteLength === 0) return undefined
  const text = decoding.decodeText(bytes)
  const type = mediaType(contentType)
  if (TEXT_TYPE.test(type) && !JSON_TYPE.test(type)) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser quotes the text it stumbled over, which may be anybody's secret: it is no cause to pass on.
    throw new CommsError(`the response says it is JSON, but is not (${text.length} characters)`, {
      code: 'BAD_RESPONSE',
    })
  }
}

/** A copy that shares memory with nothing: what a transport hands over may be part of a larger buffer. */
function ownBuffer(bytes: Uint8Array): ArrayBuffer {
  const copy = new Uint8Array(bytes.byteLength)
  copy.set(bytes)
  return copy.buffer
}
