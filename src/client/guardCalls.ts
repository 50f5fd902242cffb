// Validation of what is sent, for the clients: they are given a validator and know nothing of what it does.

/** The part of an InputValidator that the clients use. */
export interface FieldValidator {
  validateFields(value: object, options: object): unknown
}

/** What `validate` of the clients takes: a validator, and which rules hold for which fields (see `FieldsOptions`). */
export interface ValidateOptions<Fields = object> {
  /** An `InputValidator` of `guru-comms/security/InputValidator`. */
  readonly validator: FieldValidator
  /** For every text that `fields` does not name; `false`: those are not looked at. @default { noXss: true, noSqlInjection: true } */
  readonly rules?: object | false | undefined
  /** By path, such as `data.comment`, `params.q`, `data.tags[]`; `false` for texts that are not looked at. */
  readonly fields?: Readonly<Record<string, Fields | false>> | undefined
}

/** Request interceptor that refuses a call before anything is sent. @throws ValidationError */
export function guardRequests(
  validate: ValidateOptions,
): (config: { params?: unknown; data?: unknown }) => void {
  return ({ params, data }) => void validate.validator.validateFields({ params, data }, validate)
}
