// What a value is, told by what it can do: `instanceof` fails for objects of another realm (an iframe, a `vm` context, jsdom)
// and for those of another copy of a library, which are as good as the platform's own.

/** A Blob or File of any realm. */
export interface BlobLike {
  readonly type: string
  readonly size: number
  readonly name?: string
  arrayBuffer(): Promise<ArrayBuffer>
}

/** A FormData of any realm. */
export type FormLike = Iterable<readonly [string, string | BlobLike]>

/** The npm package `form-data`: an old node stream that knows its boundary. */
export interface NodeForm extends OldStream {
  getBoundary(): string
  hasKnownLength?(): boolean
  getLengthSync?(): number
}

/** A node stream from before async iteration. */
export interface OldStream {
  on(event: string, listener: (argument?: unknown) => void): unknown
  removeListener(event: string, listener: (argument?: unknown) => void): unknown
  pause?(): unknown
  resume?(): unknown
  destroy?(): unknown
}

/** The name a value's class goes by in its own realm. */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1)
}

/** What to call a value in an error. */
export function nameOf(value: object): string {
  const tag = tagOf(value)
  if (tag !== 'Object') return tag
  const name: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name
  return typeof name === 'string' && name !== '' ? name : tag
}

export function isBlob(value: object): value is BlobLike {
  return value instanceof Blob || (/^(Blob|File)$/.test(tagOf(value)) && has(value, 'arrayBuffer'))
}

export function isForm(value: object): value is FormLike {
  return tagOf(value) === 'FormData' && has(value, 'append') && Symbol.iterator in value
}

export function isNodeForm(value: object): value is NodeForm {
  return has(value, 'getBoundary') && isOldStream(value)
}

export function isSearchParams(value: unknown): value is URLSearchParams {
  return value instanceof URLSearchParams || tagOf(value) === 'URLSearchParams'
}

export function isWebStream(value: unknown): value is ReadableStream<Uint8Array> {
  return typeof value === 'object' && value !== null && has(value, 'getReader')
}

export function isIterable(value: unknown): value is AsyncIterable<Uint8Array | string> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

export function isOldStream(value: object): value is OldStream {
  return has(value, 'pipe') && has(value, 'on') && has(value, 'removeListener')
}

/** An object that is nothing but its fields: made by `{}`, `Object.create(null)` or a parser, in any realm. */
export function isPlain(value: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/**
 * The bytes of a buffer or view of any realm, `undefined` for anything else. Memory that is shared may change while it is
 * sent, and few transports take it: it is copied.
 */
export function bytesOf(value: object): Uint8Array | undefined {
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value
    if (tagOf(buffer) === 'SharedArrayBuffer') return new Uint8Array(buffer, byteOffset, byteLength).slice()
    return value instanceof Uint8Array ? value : new Uint8Array(buffer, byteOffset, byteLength)
  }
  const tag = tagOf(value)
  if (tag === 'ArrayBuffer') return new Uint8Array(value as ArrayBuffer)
  // `slice` of a view on shared memory would share it again.
  if (tag === 'SharedArrayBuffer') return Uint8Array.from(new Uint8Array(value as SharedArrayBuffer))
  return undefined
}

function has(value: object, method: string): boolean {
  return typeof (value as Record<string, unknown>)[method] === 'function'
}
