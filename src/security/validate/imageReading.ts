// What a base64 image shows without being decoded: size from the length alone, and by its first bytes the type.
// Judges nothing. Small, so that a client can look before it sends.

export type ImageType = 'png' | 'jpeg' | 'gif' | 'webp' | 'avif' | 'bmp'

export interface ImageReading {
  /** The type that a `data:` URL of an image claims. */
  readonly claimed: string | undefined
  /** Without the head of a `data:` URL. */
  readonly base64: string
  /** How many there are once it is decoded. */
  readonly bytes: number
  /** Whether it is base64 in the standard alphabet, with padding. */
  readonly wellFormed: boolean
  /** `undefined` when it begins like no image we know. */
  readonly type: ImageType | undefined
}

/** How the first bytes of each look in base64: signatures, and in WebP and AVIF what stands behind the first length. */
const BEGINNINGS: Readonly<Record<ImageType, RegExp>> = {
  png: /^iVBORw0KGgo/,
  jpeg: /^\/9j\//,
  gif: /^R0lGOD[dl]h/,
  webp: /^UklGR[g-v].{5}XRUJQ/,
  avif: /^.{6}Z0eXBhdml[mz]/,
  bmp: /^Qk[0-3]/,
}

export const IMAGE_TYPES = Object.keys(BEGINNINGS) as ImageType[]

/** Reads an image given as base64, raw or as a `data:` URL. */
export function readImage(value: string): ImageReading {
  const [head = '', claimed] =
    /^data:image\/(?:x-)?([\w.+-]+)(?:;[\w=-]+)*;base64,/i.exec(value.slice(0, 200)) ?? []
  const base64 = value.slice(head.length)
  const { length } = base64
  return {
    claimed: claimed?.toLowerCase().replace(/^p?jpe?g$/, 'jpeg'),
    base64,
    bytes: Math.floor((length * 3) / 4) - (base64.slice(-2).split('=').length - 1),
    wellFormed: length > 0 && length % 4 === 0 && /^[A-Za-z\d+/]+={0,2}$/.test(base64),
    type: IMAGE_TYPES.find((name) => BEGINNINGS[name].test(base64)),
  }
}
