// Reading a Content-Encoding header. Undoing the codings is each transport's.

import { CommsError } from '../core/errors.ts'
import { MAX_CONTENT_ENCODINGS } from './HttpTransport.ts'

/**
 * The codings of a body in the order they were applied; `identity` is left out.
 * @throws CommsError `BAD_RESPONSE` when there are more than anybody needs
 */
export function contentCodings(header: string | undefined): readonly string[] {
  if (!header) return none
  const codings = header
    .toLowerCase()
    .split(',', MAX_CONTENT_ENCODINGS + 2)
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
  if (codings.length > MAX_CONTENT_ENCODINGS) {
    throw new CommsError(
      `the response is encoded more than ${MAX_CONTENT_ENCODINGS} times over, which no honest server does`,
      { code: 'BAD_RESPONSE' },
    )
  }
  return codings
}

const none: readonly string[] = []
