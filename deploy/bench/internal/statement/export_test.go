package statement

// All are the texts of all statements.
var All = []string{clientByID, userByID, grantByNumber, serviceGrant, rotateRefresh}
