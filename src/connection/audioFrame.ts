// A piece of sound as a frame: bytes as they are, or base64 within JSON.

import { CommsError } from '../core/errors.ts'
import { describe } from '../core/options.ts'
import { isBytes, type Payload, plainBytes, viewOf } from './encoding.ts'

/**
 * The frame for a piece of sound.
 * @throws CommsError `BAD_REQUEST` for anything but bytes
 */
export function encodeAudio(data: unknown, format: 'binary' | 'base64'): Payload {
  if (!isBytes(data)) {
    const message = `streamAudio: data must be an ArrayBuffer or a view of one, got ${describe(data)}`
    throw new CommsError(message, { code: 'BAD_REQUEST' })
  }
  const bytes = plainBytes(data)
  return format === 'binary' ? bytes : JSON.stringify({ type: 'audio', data: toBase64(bytes) })
}

/** Standard base64 (RFC 4648 section 4) of some bytes. */
function toBase64(data: ArrayBuffer | ArrayBufferView<ArrayBuffer>): string {
  const bytes = viewOf(data)
  let binary = ''
  // In steps, because the arguments of one call are limited.
  for (let at = 0; at < bytes.length; at += 0x2000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x2000))
  }
  return btoa(binary)
}
