// FormData as multipart/form-data (RFC 7578), held in a Blob: its length is known, and every attempt can send it anew.

import { badRequest } from '../core/errors.ts'
import type { BlobLike } from './bodyKinds.ts'

/**
 * @returns a Blob; it is framed by `boundary`, which nothing in it may hold
 * @throws CommsError `BAD_REQUEST` when a name would break out of its line
 */
export async function encodeMultipart(
  fields: readonly (readonly [string, string | BlobLike])[],
  boundary: string,
): Promise<Blob> {
  const parts: BlobPart[] = []
  for (const [name, value] of fields) {
    parts.push(`--${boundary}\r\ncontent-disposition: form-data; name="${quoted(name)}"`)
    if (typeof value === 'string') {
      parts.push(`\r\n\r\n${value.replace(/\r\n|\r|\n/g, '\r\n')}\r\n`)
    } else {
      const type = value.type || 'application/octet-stream'
      parts.push(`; filename="${quoted(value.name ?? 'blob')}"\r\ncontent-type: ${type}\r\n\r\n`)
      // A file of another realm would be taken for text.
      parts.push(value instanceof Blob ? value : await value.arrayBuffer(), '\r\n')
    }
  }
  parts.push(`--${boundary}--\r\n`)
  return new Blob(parts)
}

/** Line ends are refused rather than escaped: no honest form has them in a name. */
function quoted(name: string): string {
  if (/[\r\n\0]/.test(name)) {
    throw badRequest('a name or file name of the form has a line end or NUL in it')
  }
  return name.replaceAll('"', '%22')
}
