/** What the server accepts at most, and the defaults. */

export interface Limits {
  /** Bytes of a request body. Default 4,000,000. */
  readonly bodyBytes: number
  /** Texts of one request. Default 256. */
  readonly requestTexts: number
  /** UTF-16 code units of one text. Default 100,000. */
  readonly textLength: number
  /** Texts that may wait for one model; beyond that requests are refused with 429. Default 2,048. */
  readonly queueTexts: number
  /** UTF-16 code units that may wait for one model. Default 32,000,000. */
  readonly queueCharacters: number
  /** Requests in progress at once, in all. Default 512. */
  readonly requests: number
  /** Texts that run together. Default 64. */
  readonly batchTexts: number
  /** Seconds from a request's arrival to its answer. Default 30. */
  readonly seconds: number
  /** Seconds that a client may take to send its request. Default 20. */
  readonly receiveSeconds: number
  /** Seconds that requests in progress are given when the server stops. Default 10. */
  readonly stopSeconds: number
}

export const defaultLimits: Limits = {
  bodyBytes: 4_000_000,
  requestTexts: 256,
  textLength: 100_000,
  queueTexts: 2048,
  queueCharacters: 32_000_000,
  requests: 512,
  batchTexts: 64,
  seconds: 30,
  receiveSeconds: 20,
  stopSeconds: 10,
}
