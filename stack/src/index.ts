export { FACTS_FILE, stackFactsSchema, type StackFacts } from './facts.js';
