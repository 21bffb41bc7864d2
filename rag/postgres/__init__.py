"""Collections in PostgreSQL with pgvector: one database, many programs, the same answers.

schema.py    tables, roles, policies, and the functions that make and remove a collection
database.py  pooled connections, transactions that declare a collection, what is said when they fail
backend.py   the collections of a database: names, opening, removing, the right to write
store.py     one collection: staged, published, read
words.py     BM25 over an inverted index in a plain table
vectors.py   the nearest passages, exactly or by HNSW

psycopg is imported only where a connection is made.
"""
