// Images as base64: what their envelope shows, then how wide and high their header says they are.
// Imports no detector.

import { type EnvelopeLimits, type ImageType, openImageEnvelope } from './imageEnvelope.ts'
import { sizeOf } from './imageSize.ts'
import { judgeStructure } from './imageStructure.ts'
import type { Problem } from './problem.ts'

export type { ImageType }

export interface Base64ImageOptions extends EnvelopeLimits {
  /** Maximum width and height in pixels, where the header tells. @default 16384 */
  readonly maxSide?: number | undefined
  /**
   * For uploads: the whole image is read block by block. It must be complete, tell its size, hold no markup, and end where
   * its format says; decoders forgive what is behind, other programs run it. @default false
   */
  readonly strict?: boolean | undefined
}

/** Enough for the frame header of nearly every JPEG, whose metadata stands before it. */
const HEADER_CHARACTERS = 262_144

/** The first characters of base64 as bytes. */
function decode(base64: string, characters = base64.length): Uint8Array {
  return Uint8Array.from(atob(base64.slice(0, characters)), (character) => character.charCodeAt(0))
}

/** The first thing wrong with an image given as base64, raw or as a `data:` URL. */
export function checkBase64Image(value: unknown, options: Base64ImageOptions = {}): Problem | null {
  const envelope = openImageEnvelope(value, options)
  if ('rule' in envelope) return envelope
  const { maxSide = 16_384, strict = false } = options
  const bytes = decode(envelope.base64, strict ? undefined : HEADER_CHARACTERS)
  const size = sizeOf(envelope.type, new DataView(bytes.buffer))
  if (size && Math.max(...size) > maxSide) {
    return { rule: 'maxSide', message: `image wider or higher than the maximum ${maxSide} pixels: too large` }
  }
  if (size && Math.min(...size) === 0)
    return { rule: 'base64Image', message: 'image has no width or no height' }
  if (!strict) return null
  if (!size) return { rule: 'base64Image', message: 'image does not tell how large it is' }
  const wrong = judgeStructure(envelope.type, bytes)
  return wrong ? { rule: 'base64Image', message: `image ${wrong}` } : null
}
