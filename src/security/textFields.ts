// The strings within a value that is about to be sent: of objects, arrays, forms, queries, and of text that is JSON.
// Judges nothing.

/** A string and where it stands: `data.user.tags[2]`. */
export interface TextField {
  readonly path: string
  readonly text: string
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** Objects that hold named values but are no plain ones: FormData, URLSearchParams, Headers, Map. */
function entriesOf(value: object): Iterable<readonly [PropertyKey, unknown]> {
  const { entries } = value as { entries?: unknown }
  if (!Array.isArray(value) && typeof entries === 'function' && Symbol.iterator in value) {
    return entries.call(value) as Iterable<[PropertyKey, unknown]>
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  const plain =
    Array.isArray(value) || prototype === null || Object.getPrototypeOf(prototype as object) === null
  // Bytes, streams, blobs, dates: nothing that could be read here.
  return plain ? Object.entries(value) : []
}

/** What a body of text holds, when it is JSON. */
function parsed(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return text
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

/** Every string of the value, each once; what holds itself is not entered twice, what is deeper than `maxDepth` not at all. */
export function* textFields(value: unknown, path: string, maxDepth: number): Generator<TextField> {
  const seen = new Set<object>()
  const waiting = [{ value: typeof value === 'string' ? parsed(value) : value, path, depth: 0 }]
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    if (typeof next.value === 'string') yield { path: next.path, text: next.value }
    if (!isObject(next.value) || seen.has(next.value) || next.depth > maxDepth) continue
    seen.add(next.value)
    const inArray = Array.isArray(next.value)
    const below = [...entriesOf(next.value)].map(([key, item]) => ({
      value: item,
      path: inArray ? `${next.path}[${String(key)}]` : `${next.path}.${String(key)}`,
      depth: next.depth + 1,
    }))
    waiting.push(...below.reverse())
  }
}

/** A field that holds a secret is free in its characters; one of `author` or `session` notes is not. */
export function isSecretField(path: string): boolean {
  return /passw|pwd|secret|token|credential|api[-_]?key|authorization|signature/i.test(path)
}
