import { readFileSync } from 'node:fs';
import type { JsonObject } from '@postern/protocol';

export interface MethodVector {
  method: string;
  request: JsonObject;
  reply: JsonObject;
  replyVaries?: boolean;
  protocol2Only?: boolean;
  invalidRequests: JsonObject[];
}

interface Addressed {
  topic: string;
  payload: JsonObject;
}

export interface CorrelationVectors {
  deviceId: string;
  hello: { topic: string; protocol: number };
  exchanges: { name: string; in: Addressed; out: Addressed | null; outMayRepeat?: Addressed }[];
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../protocol/vectors/${name}`, import.meta.url), 'utf8'));

export const METHOD_VECTORS = (read('methods.json') as { methods: MethodVector[] }).methods;
export const CORRELATION_VECTORS = read('correlation.json') as CorrelationVectors;
