// The error of a response that a schema refuses. By itself, for only who uses schemas needs it.

import { CommsError } from './errors.ts'

/** What a schema found wrong, and where: `user.tags[2]`, empty for the whole. */
export interface SchemaIssue {
  readonly message: string
  readonly path: string
}

/** The response is well-formed and not what the caller's schema expects. */
export class SchemaError extends CommsError {
  override readonly name = 'SchemaError'
  readonly isSchemaError = true
  readonly issues: readonly SchemaIssue[]
  /** Where the response came from, secrets in the query replaced. */
  readonly url: string

  constructor(issues: readonly SchemaIssue[], url: string) {
    const [first] = issues
    const where = first?.path ? `${first.path}: ` : ''
    const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
    super(`the response of ${url} does not match the schema: ${where}${first?.message}${more}`, {
      code: 'SCHEMA_MISMATCH',
    })
    this.issues = issues
    this.url = url
  }
}
