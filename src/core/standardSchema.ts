// The Standard Schema interface (standardschema.dev, version 1): what zod, valibot, arktype and we have in common.

export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
  }
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** Whether this is a schema of any such library; some are functions. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    '~standard' in value &&
    typeof (value as StandardSchema)['~standard']?.validate === 'function'
  )
}

/** `user.tags[2]` */
export function pathText(path: StandardIssue['path']): string {
  return (path ?? [])
    .map((part) => {
      const key = typeof part === 'object' ? part.key : part
      return typeof key === 'number' ? `[${key}]` : `.${String(key)}`
    })
    .join('')
}
