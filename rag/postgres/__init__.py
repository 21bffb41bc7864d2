"""Collections in PostgreSQL with pgvector: one database, many programs, the same answers.

schema.py    tables, roles, policies, and the functions that make and remove a collection
connect.py   a connection, and the set-up of a database
database.py  pooled connections, transactions that declare a collection, what is said when they fail
backend.py   the collections of a database: names, opening, removing, the right to write
session.py   transactions about one collection, and what it is at that moment
store.py     one collection: staged, published, read
publish.py   one publication: what comes, what goes, and their words
form.py      documents, chunks and vectors as rows
words.py     terms, postings and BM25, without SQL
lexical.py   a question's words looked up and scored
vectors.py   the nearest passages, exactly or by HNSW

psycopg is imported only where a connection is made.
"""
