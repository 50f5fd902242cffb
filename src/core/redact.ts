// What must never be read in a log, an error or a screenshot.

const SECRET_NAME =
  /auth(?!ors?$)|token|secret|passw|pwd|cookie|session|signature|credential|api[-_]?key|^key$|^sig$/i

/** Whether a header, query parameter or option of this name usually carries a secret. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name)
}

/** The URL without user info and fragment, the values of secret query parameters replaced by `***`. */
export function redactUrl(url: string | URL): string {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    // A relative or broken URL: keep the path only, a query could hold anything.
    return String(url)
      .replace(/[?#].*$/s, '')
      .replace(/^([^/\\]*[/\\]{2}).*@/s, '$1')
  }
  parsed.username = ''
  parsed.password = ''
  parsed.hash = ''
  if (parsed.search) {
    for (const name of new Set(parsed.searchParams.keys())) {
      if (isSecretName(name)) parsed.searchParams.set(name, '***')
    }
  }
  return parsed.href
}

/** A copy of `headers` with the values of secret ones replaced by `***`. */
export function redactHeaders(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const copy: Record<string, unknown> = Object.create(null)
  for (const name of Object.keys(headers)) copy[name] = isSecretName(name) ? '***' : headers[name]
  return copy
}
