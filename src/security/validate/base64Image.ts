// Images as base64: what their envelope shows, then how wide and high their header says they are.
// Imports no detector.

import { type EnvelopeLimits, type ImageType, openImageEnvelope } from './imageEnvelope.ts'
import type { Problem } from './problem.ts'

export type { ImageType }

export interface Base64ImageOptions extends EnvelopeLimits {
  /** Maximum width and height in pixels, where the header tells. @default 16384 */
  readonly maxSide?: number | undefined
}

/** Enough for the frame header of nearly every JPEG, whose metadata stands before it. */
const HEADER_CHARACTERS = 262_144

type Size = readonly [width: number, height: number]

/** The header does not tell within its first bytes. */
const UNKNOWN: Size = [0, 0]

/** Frame headers of JPEG: SOF0 to SOF15 without the markers in between that mean something else (ITU-T T.81, B.1.1.3). */
function jpegSize(view: DataView): Size {
  for (let at = 2; at + 9 < view.byteLength && view.getUint8(at) === 0xff; ) {
    const marker = view.getUint8(at + 1)
    if (marker === 0xff) at++
    else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return [view.getUint16(at + 7), view.getUint16(at + 5)]
    } else at += 2 + view.getUint16(at + 2)
  }
  return UNKNOWN
}

function webpSize(view: DataView): Size {
  switch (view.getUint8(15)) {
    // VP8X
    case 0x58:
      return [1 + (view.getUint32(24, true) & 0xffffff), 1 + (view.getUint32(26, true) >>> 8)]
    // VP8L
    case 0x4c: {
      const packed = view.getUint32(21, true)
      return [1 + (packed & 0x3fff), 1 + ((packed >>> 14) & 0x3fff)]
    }
    // VP8, lossy
    case 0x20:
      return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff]
    default:
      return UNKNOWN
  }
}

/** Width and height in pixels, as far as the header tells. */
function sizeOf(type: ImageType, view: DataView): Size {
  if (type === 'jpeg') return jpegSize(view)
  // All that follow have their size within so many bytes.
  if (view.byteLength < 30) return UNKNOWN
  switch (type) {
    case 'png':
      return [view.getUint32(16), view.getUint32(20)]
    case 'gif':
      return [view.getUint16(6, true), view.getUint16(8, true)]
    case 'webp':
      return webpSize(view)
    case 'bmp':
      return [Math.abs(view.getInt32(18, true)), Math.abs(view.getInt32(22, true))]
    case 'avif':
      return UNKNOWN
  }
}

/** The first characters of base64 as bytes. */
function decodeStart(base64: string): DataView {
  const binary = atob(base64.slice(0, HEADER_CHARACTERS))
  return new DataView(Uint8Array.from(binary, (character) => character.charCodeAt(0)).buffer)
}

/** The first thing wrong with an image given as base64, raw or as a `data:` URL. */
export function checkBase64Image(value: unknown, options: Base64ImageOptions = {}): Problem | null {
  const envelope = openImageEnvelope(value, options)
  if ('rule' in envelope) return envelope
  const { maxSide = 16_384 } = options
  if (Math.max(...sizeOf(envelope.type, decodeStart(envelope.base64))) <= maxSide) return null
  return { rule: 'maxSide', message: `image wider or higher than the maximum ${maxSide} pixels` }
}
