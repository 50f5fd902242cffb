// Undoing content-encodings with node:zlib, never beyond a number of bytes: a bomb of a few kilobytes must not become gigabytes.

import { kMaxLength } from 'node:buffer'
import type { Transform } from 'node:stream'
import zlib from 'node:zlib'

interface Codec {
  whole(
    bytes: Uint8Array,
    options: zlib.ZlibOptions,
    done: (error: Error | null, result: Buffer) => void,
  ): void
  stream(): Transform
}

/** As the platform's fetch does: whatever has come is handed out, its trailer missing or not. */
const lenient: zlib.ZlibOptions = { finishFlush: zlib.constants.Z_SYNC_FLUSH }

const gzip: Codec = { whole: gunzip, stream: () => zlib.createGunzip(lenient) }
const brotli: Codec = {
  whole: (bytes, options, done) =>
    zlib.brotliDecompress(bytes, { maxOutputLength: options.maxOutputLength as number }, done),
  stream: () => zlib.createBrotliDecompress(),
}
/** "deflate" means the zlib format (RFC 9110 8.4.1.2), but some servers send the bare one: the first byte tells. */
const deflate: Codec = {
  whole: (bytes, options, done) =>
    isZlibFormat(bytes) ? zlib.inflate(bytes, options, done) : zlib.inflateRaw(bytes, options, done),
  stream: () => zlib.createInflate(lenient),
}
const zstd: Codec = {
  whole: (bytes, options, done) =>
    zlib.zstdDecompress(bytes, { maxOutputLength: options.maxOutputLength as number }, done),
  stream: () => zlib.createZstdDecompress(),
}

/** Not every Node within `engines` was built with zstd. */
const hasZstd = typeof zlib.zstdDecompress === 'function'

const codecs: ReadonlyMap<string, Codec> = new Map([
  ['gzip', gzip],
  ['x-gzip', gzip],
  ['deflate', deflate],
  ['br', brotli],
  ...(hasZstd ? ([['zstd', zstd]] as const) : []),
])

/** What to ask servers for. */
export const ACCEPT_ENCODING = hasZstd ? 'gzip, deflate, br, zstd' : 'gzip, deflate, br'

/** Some servers leave the trailer of gzip out. One whose data is cut off, however, must not pass for all of it. */
function gunzip(
  bytes: Uint8Array,
  options: zlib.ZlibOptions,
  done: (error: Error | null, result: Buffer) => void,
): void {
  zlib.gunzip(bytes, options, (error, result) => {
    if ((error as NodeJS.ErrnoException | null)?.code !== 'Z_BUF_ERROR') done(error, result)
    else
      zlib.gunzip(bytes, { ...options, ...lenient }, (failure, begun) => {
        if (failure) done(error, result)
        else zlib.gunzip(withTrailer(bytes, begun), options, done)
      })
  })
}

/** RFC 1952 2.3.1: the checksum and the length of `data`, behind what of them is there already. */
function withTrailer(bytes: Uint8Array, data: Uint8Array): Uint8Array {
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(zlib.crc32(data), 0)
  trailer.writeUInt32LE(data.byteLength % 2 ** 32, 4)
  let there = 7
  while (there > 0 && !trailer.subarray(0, there).equals(bytes.subarray(-there))) there -= 1
  return Buffer.concat([bytes, trailer.subarray(there)])
}

/** The first coding that cannot be undone, if there is one. */
export function unknownCoding(codings: readonly string[]): string | undefined {
  return codings.find((coding) => !codecs.has(coding))
}

/** Whether an error of `decodeWhole` says that the output would be too long. */
export function isTooLong(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
}

/** Undoes `codings`, the last one first. */
export function decodeWhole(
  bytes: Uint8Array,
  codings: readonly string[],
  maxBytes: number,
  done: (error: Error | null, result: Uint8Array) => void,
): void {
  const last = codings.at(-1)
  if (last === undefined || bytes.byteLength === 0) {
    done(null, bytes)
    return
  }
  const codec = codecs.get(last) as Codec
  codec.whole(bytes, { maxOutputLength: Math.max(1, Math.min(maxBytes, kMaxLength)) }, (error, result) => {
    if (error) done(error, bytes)
    else decodeWhole(result, codings.slice(0, -1), maxBytes, done)
  })
}

/** Streams that undo `codings`, the first to write to first. `firstBytes` settles which deflate it is. */
export function decodingStreams(codings: readonly string[], firstBytes: Uint8Array): Transform[] {
  return codings.toReversed().map((coding, index) => {
    if (coding === 'deflate' && index === 0 && !isZlibFormat(firstBytes))
      return zlib.createInflateRaw(lenient)
    return (codecs.get(coding) as Codec).stream()
  })
}

/** RFC 1950: compression method 8 in the low half of the first byte. */
function isZlibFormat(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 0) & 0x0f) === 0x08
}
