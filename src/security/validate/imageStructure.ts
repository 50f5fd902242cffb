// An image from its first byte to its last, block by block, as its format defines them: nothing broken, nothing missing,
// nothing behind its end. Decoders forgive all that, and what they skip another program may run. Decodes no pixel.

import type { ImageType } from './imageReading.ts'

const BROKEN = 'is broken or cut off'
const BEHIND = 'has something behind its end'

/** What is wrong with the bytes of an image; '' when nothing is. */
type Walk = (view: DataView) => string

function fourLetters(view: DataView, at: number): string {
  return String.fromCharCode(
    view.getUint8(at),
    view.getUint8(at + 1),
    view.getUint8(at + 2),
    view.getUint8(at + 3),
  )
}

/** Where an image that ends at `at` should end. */
function ending(view: DataView, at: number): string {
  if (at > view.byteLength) return BROKEN
  return at < view.byteLength ? BEHIND : ''
}

/** PNG: chunks of length, type, data and checksum, from IHDR to IEND (W3C PNG, 5.3). */
const png: Walk = (view) => {
  let data = false
  for (let at = 8; at + 12 <= view.byteLength; ) {
    const length = view.getUint32(at)
    const type = fourLetters(view, at + 4)
    if (!/^[A-Za-z]{4}$/.test(type) || (at === 8) !== (type === 'IHDR')) return BROKEN
    if (type === 'IHDR' && length !== 13) return BROKEN
    if (type === 'IDAT') data = true
    at += 12 + length
    if (type === 'IEND') return length > 0 || !data ? BROKEN : ending(view, at)
  }
  return BROKEN
}

/** JPEG: markers with their lengths to a scan, scans to EOI (ITU-T T.81, annex B). */
const jpeg: Walk = (view) => {
  const { byteLength } = view
  let scanned = false
  for (let at = 2; at + 1 < byteLength; ) {
    if (view.getUint8(at) !== 0xff) return BROKEN
    const marker = view.getUint8(at + 1)
    if (marker === 0xff) at++
    else if (marker === 0xd9) return scanned ? ending(view, at + 2) : BROKEN
    else if (marker === 0 || marker === 0xd8 || at + 4 > byteLength || view.getUint16(at + 2) < 2)
      return BROKEN
    else {
      at += 2 + view.getUint16(at + 2)
      if (marker !== 0xda) continue
      // A scan: up to a marker that is neither a stuffed byte nor a restart.
      scanned = true
      for (; at + 1 < byteLength; at++) {
        const next = view.getUint8(at + 1)
        if (view.getUint8(at) === 0xff && next !== 0 && next !== 0xff && (next < 0xd0 || next > 0xd7)) break
      }
    }
  }
  return BROKEN
}

/** Behind the sub-blocks of a GIF that begin at `at`. */
function afterBlocks(view: DataView, at: number): number {
  let here = at
  while (here < view.byteLength) {
    const length = view.getUint8(here)
    here += 1 + length
    if (length === 0) return here
  }
  return view.byteLength + 1
}

/** GIF: a screen, then frames and extensions to the trailer (GIF89a, appendix B). */
const gif: Walk = (view) => {
  if (view.byteLength < 14) return BROKEN
  const colours = (flags: number): number => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0)
  const width = view.getUint16(6, true)
  const height = view.getUint16(8, true)
  let frames = 0
  for (let at = 13 + colours(view.getUint8(10)); at < view.byteLength; ) {
    const kind = view.getUint8(at)
    if (kind === 0x3b) return frames === 0 ? BROKEN : ending(view, at + 1)
    if (kind === 0x21) at = afterBlocks(view, at + 2)
    else if (kind === 0x2c && at + 11 <= view.byteLength) {
      frames++
      const right = view.getUint16(at + 1, true) + view.getUint16(at + 5, true)
      const bottom = view.getUint16(at + 3, true) + view.getUint16(at + 7, true)
      if (right > width || bottom > height) return 'has a frame outside of its screen'
      at = afterBlocks(view, at + 11 + colours(view.getUint8(at + 9)))
    } else return BROKEN
  }
  return BROKEN
}

/** WebP: one RIFF container of chunks with even lengths (RFC 9649, 2.3). */
const webp: Walk = (view) => {
  const end = 8 + view.getUint32(4, true)
  if (end % 2 === 1 || end > view.byteLength) return BROKEN
  if (end < view.byteLength) return BEHIND
  let at = 12
  let image = false
  while (at + 8 <= end) {
    if (/^(?:VP8[ L]|ANMF)$/.test(fourLetters(view, at))) image = true
    const length = view.getUint32(at + 4, true)
    at += 8 + length + (length % 2)
  }
  return at === end && image ? '' : BROKEN
}

/** BMP: the header says how long the file is and where its pixels begin. */
const bmp: Walk = (view) => {
  if (view.byteLength < 30) return BROKEN
  const length = view.getUint32(2, true)
  const pixels = view.getUint32(10, true)
  if (length > view.byteLength || pixels < 26 || pixels >= view.byteLength) return BROKEN
  return ending(view, length)
}

/** AVIF: boxes one after the other, `ftyp` first, `meta` and `mdat` among them (ISO/IEC 14496-12, 4.2). */
const avif: Walk = (view) => {
  let at = 0
  let meta = false
  let data = false
  while (at + 8 <= view.byteLength) {
    const type = fourLetters(view, at + 4)
    if ((at === 0) !== (type === 'ftyp') || !/^[\x20-\x7e]{4}$/.test(type)) return at === 0 ? BROKEN : BEHIND
    if (type === 'meta' || type === 'moov') meta = true
    if (type === 'mdat') data = true
    const size = view.getUint32(at)
    // 1: the length follows in 64 bits; 0: the box goes to the end.
    if (size === 0) return meta && data ? '' : BROKEN
    const long = size === 1 && at + 16 <= view.byteLength
    const length = long ? view.getUint32(at + 8) * 2 ** 32 + view.getUint32(at + 12) : size
    if (length < 8) return BROKEN
    at += length
  }
  return !meta || !data ? BROKEN : ending(view, at)
}

const WALKS: Readonly<Record<ImageType, Walk>> = { png, jpeg, gif, webp, bmp, avif }

/** Programs in metadata; too long to stand in compressed pixels by chance. */
const MARKUP = /<(?:\?php|script[\s>/]|html[\s>]|body[\s>]|iframe[\s>]|svg[\s>]|!doctype html)/i
/** So much is looked through at once, and so much of it again with the next part. */
const PART = 65_536
const OVERLAP = 16

function holdsMarkup(bytes: Uint8Array): boolean {
  const decoder = new TextDecoder('latin1')
  for (let at = 0; at < bytes.length; at += PART - OVERLAP) {
    if (MARKUP.test(decoder.decode(bytes.subarray(at, at + PART)))) return true
  }
  return false
}

/** What is wrong with an image as a whole; '' when nothing is. */
export function judgeStructure(type: ImageType, bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.byteLength < 12) return BROKEN
  return WALKS[type](view) || (holdsMarkup(bytes) ? 'has markup in it' : '')
}
