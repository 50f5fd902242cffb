// What every HTTP contestant must do: GET and POST a JSON document and hand over the parsed answer.

export interface HttpContestant {
  get(): Promise<unknown>
  post(body: unknown): Promise<unknown>
}

/** Makes the contestant for a server at `origin`; the document is at `PATH`. */
export type MakeHttp = (origin: string) => HttpContestant | Promise<HttpContestant>

export const PATH = '/v1/document'

/** The same limits for all who have such an option. */
export const TIMEOUT_MS = 12_000
export const RETRIES = 2
