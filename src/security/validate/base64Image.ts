// Images as base64: size from the length alone, then the alphabet, then the first bytes against the type they claim.
// SVG is refused: it is a document that runs script. Imports no detector, so that a client may check without them.

import type { Problem } from './problem.ts'

export interface Base64ImageOptions {
  /** Maximum size after decoding, in bytes. @default 10485760 */
  readonly maxBytes?: number | undefined
  /** Types allowed. @default png, jpeg, gif, webp, avif, bmp */
  readonly types?: readonly ImageType[] | undefined
  /** Maximum width and height in pixels, where the header tells. @default 16384 */
  readonly maxSide?: number | undefined
}

export type ImageType = 'png' | 'jpeg' | 'gif' | 'webp' | 'avif' | 'bmp'

/** What the header of an image tells. */
export interface ImageInfo {
  readonly type: ImageType
  /** Pixels; 0 where the header does not tell within its first bytes. */
  readonly width: number
  readonly height: number
}

const TYPES: readonly ImageType[] = ['png', 'jpeg', 'gif', 'webp', 'avif', 'bmp']
/** Enough for the frame header of nearly every JPEG, whose metadata stands before it. */
const HEADER_CHARACTERS = 262_144

function problem(message: string): Problem {
  return { rule: 'base64Image', message: `image ${message}` }
}

function text(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end))
}

/** Frame headers of JPEG: SOF0 to SOF15 without the markers in between that mean something else (ITU-T T.81, B.1.1.3). */
function jpegSize(bytes: Uint8Array): readonly [width: number, height: number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1] as number
    if (marker === 0xff) at++
    else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return [view.getUint16(at + 7), view.getUint16(at + 5)]
    } else at += 2 + view.getUint16(at + 2)
  }
  return [0, 0]
}

/** Type and size of an image by its first bytes; null for anything else. */
export function readImageHeader(bytes: Uint8Array): ImageInfo | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const start = text(bytes, 0, 12)
  const wide = bytes.length >= 30
  if (start.startsWith('\x89PNG\r\n\x1a\n')) {
    return { type: 'png', width: wide ? view.getUint32(16) : 0, height: wide ? view.getUint32(20) : 0 }
  }
  if (start.startsWith('\xff\xd8\xff')) {
    const [width, height] = jpegSize(bytes)
    return { type: 'jpeg', width, height }
  }
  if (/^GIF8[79]a/.test(start) && bytes.length >= 10) {
    return { type: 'gif', width: view.getUint16(6, true), height: view.getUint16(8, true) }
  }
  if (start.startsWith('RIFF') && start.endsWith('WEBP')) {
    const kind = text(bytes, 12, 16)
    if (wide && kind === 'VP8X') {
      return {
        type: 'webp',
        width: 1 + (view.getUint32(24, true) & 0xffffff),
        height: 1 + (view.getUint32(26, true) >>> 8),
      }
    }
    if (wide && kind === 'VP8L') {
      const packed = view.getUint32(21, true)
      return { type: 'webp', width: 1 + (packed & 0x3fff), height: 1 + ((packed >>> 14) & 0x3fff) }
    }
    const lossy = wide && kind === 'VP8 '
    return {
      type: 'webp',
      width: lossy ? view.getUint16(26, true) & 0x3fff : 0,
      height: lossy ? view.getUint16(28, true) & 0x3fff : 0,
    }
  }
  if (/^....ftypavi[fs]/s.test(start)) return { type: 'avif', width: 0, height: 0 }
  if (start.startsWith('BM') && bytes.length >= 26) {
    return {
      type: 'bmp',
      width: Math.abs(view.getInt32(18, true)),
      height: Math.abs(view.getInt32(22, true)),
    }
  }
  return null
}

/** The bytes of the first characters of base64, in which whole groups of four stand. */
function decodeStart(base64: string): Uint8Array {
  const piece = base64.slice(0, HEADER_CHARACTERS)
  const binary = atob(piece.slice(0, piece.length - (piece.length % 4)))
  const bytes = new Uint8Array(binary.length)
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at)
  return bytes
}

/** The first thing wrong with an image given as base64, raw or as a `data:` URL. */
export function checkBase64Image(value: unknown, options: Base64ImageOptions = {}): Problem | null {
  if (typeof value !== 'string') return { rule: 'type', message: 'must be a string of base64 (image)' }
  const { maxBytes = 10_485_760, types = TYPES, maxSide = 16_384 } = options
  let claimed = ''
  let base64 = value
  if (/^data:/i.test(value)) {
    const comma = value.slice(0, 200).indexOf(',')
    const head = /^data:image\/([\w.+-]+)(?:;[\w=-]+)*;base64$/i.exec(comma < 0 ? '' : value.slice(0, comma))
    if (!head) return problem('must be base64 or a data: URL of an image in base64')
    claimed = (head[1] as string)
      .toLowerCase()
      .replace(/^(?:jpg|pjpeg)$/, 'jpeg')
      .replace(/^x-/, '')
    base64 = value.slice(comma + 1)
    if (claimed.startsWith('svg')) return problem('of type SVG is dangerous: it can run script')
  }
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0
  const size = Math.floor((base64.length * 3) / 4) - padding
  if (size > maxBytes) {
    return { rule: 'maxLength', message: `image larger than the maximum ${maxBytes} bytes (decoded)` }
  }
  if (size < 1 || base64.length % 4 !== 0 || !/^[A-Za-z\d+/]+={0,2}$/.test(base64)) {
    return problem('must be base64 in the standard alphabet, with padding')
  }
  const bytes = decodeStart(base64)
  const info = readImageHeader(bytes)
  if (!info) {
    const svg = /^[\s\ufeff]*<(?:\?xml|!doctype|svg|!--)/i.test(text(bytes, 0, Math.min(bytes.length, 64)))
    return problem(
      svg ? 'of type SVG is dangerous: it can run script' : 'does not begin like any image we know',
    )
  }
  if (claimed !== '' && claimed !== info.type) return problem('is not of the type that its data: URL claims')
  if (!types.includes(info.type)) return problem(`must be one of ${types.join(', ')}`)
  if (info.width > maxSide || info.height > maxSide) {
    return { rule: 'maxSide', message: `image wider or higher than the maximum ${maxSide} pixels` }
  }
  return null
}
