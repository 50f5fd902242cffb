// Subresource integrity (W3C SRI): whether bytes are those that the caller expects.

const ALGORITHMS = ['sha256', 'sha384', 'sha512'] as const

/** `sha256-...` once or more, options behind `?` without meaning. */
const EXPRESSION = /^(sha256|sha384|sha512)-([A-Za-z0-9+/_-]+={0,2})(?:\?\S*)?$/i

/**
 * Whether `bytes` have one of the hashes of the strongest algorithm named. What names no hash that can be checked asks for nothing.
 * @throws TypeError where the platform cannot compute hashes (a page that is not secure)
 */
export async function keepsIntegrity(bytes: Uint8Array<ArrayBuffer>, integrity: string): Promise<boolean> {
  const expected = integrity
    .split(/[\t\n\f\r ]+/)
    .map((text) => EXPRESSION.exec(text))
    .filter((found) => found !== null)
    .map(([, algorithm = '', hash = '']) => ({ algorithm: algorithm.toLowerCase(), hash: normal(hash) }))
  const algorithm = ALGORITHMS.findLast((name) => expected.some((each) => each.algorithm === name))
  if (!algorithm) return true
  const { subtle } = globalThis.crypto ?? {}
  if (!subtle) throw new TypeError('fetch: "integrity" cannot be checked here: it needs crypto.subtle')
  const digest = new Uint8Array(await subtle.digest(`SHA-${algorithm.slice(3)}`, bytes))
  const actual = normal(btoa(String.fromCharCode(...digest)))
  return expected.some((each) => each.algorithm === algorithm && each.hash === actual)
}

/** Both alphabets of base64, with or without padding, as one. */
function normal(base64: string): string {
  return base64.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '')
}
