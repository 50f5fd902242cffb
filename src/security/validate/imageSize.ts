// How wide and high a decoder would make an image, from its header: what counts is the memory that decoding takes, so of
// several sizes the largest. Knows no limits.

import type { ImageType } from './imageReading.ts'

export type Size = readonly [width: number, height: number]

/** Frame headers of JPEG: SOF0 to SOF15 without the markers in between that mean something else (ITU-T T.81, B.1.1.3). */
function jpegSize(view: DataView): Size | undefined {
  for (let at = 2; at + 9 < view.byteLength && view.getUint8(at) === 0xff; ) {
    const marker = view.getUint8(at + 1)
    if (marker === 0xff) at++
    else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return [view.getUint16(at + 7), view.getUint16(at + 5)]
    } else at += 2 + view.getUint16(at + 2)
  }
  return undefined
}

/**
 * Decoders draw on the logical screen, and on the first frame where that is larger or the screen is 0 x 0 (GIF89a, 18 and
 * 20). A frame further on is not looked for here: strict reading does.
 */
function gifSize(view: DataView): Size {
  const screen: Size = [view.getUint16(6, true), view.getUint16(8, true)]
  const flags = view.getUint8(10)
  let at = 13 + (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0)
  while (at + 1 < view.byteLength && view.getUint8(at) === 0x21) {
    at += 2
    for (let length = 1; length > 0 && at < view.byteLength; at += 1 + length) length = view.getUint8(at)
  }
  if (at + 10 > view.byteLength || view.getUint8(at) !== 0x2c) return screen
  return [
    Math.max(screen[0], view.getUint16(at + 1, true) + view.getUint16(at + 5, true)),
    Math.max(screen[1], view.getUint16(at + 3, true) + view.getUint16(at + 7, true)),
  ]
}

function webpSize(view: DataView): Size | undefined {
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
      return undefined
  }
}

const ISPE = 0x69737065

/** AVIF keeps the size of each of its images in a property of its own, `ispe` (ISO/IEC 23008-12, 6.5.3). */
function avifSize(view: DataView): Size | undefined {
  let size: Size | undefined
  for (let at = 4; at + 16 <= view.byteLength; at++) {
    if (view.getUint32(at) !== ISPE || view.getUint32(at - 4) !== 20) continue
    const [width, height] = size ?? [0, 0]
    size = [Math.max(width, view.getUint32(at + 8)), Math.max(height, view.getUint32(at + 12))]
  }
  return size
}

/** Width and height in pixels; undefined where the first bytes do not tell. */
export function sizeOf(type: ImageType, view: DataView): Size | undefined {
  if (type === 'jpeg') return jpegSize(view)
  if (type === 'avif') return avifSize(view)
  // All that follow have their size within so many bytes.
  if (view.byteLength < 30) return undefined
  switch (type) {
    case 'png':
      return [view.getUint32(16), view.getUint32(20)]
    case 'gif':
      return gifSize(view)
    case 'webp':
      return webpSize(view)
    case 'bmp':
      return [Math.abs(view.getInt32(18, true)), Math.abs(view.getInt32(22, true))]
  }
}
